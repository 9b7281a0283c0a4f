//! The configuration: a TOML file, under environment variables, under flags; read before anything else is done.
//!
//! The parts own their settings (`web::Config`, `collector::otlp::Config`, ...); this composes them, checks what concerns several of them,
//! and tells every mistake at once, with its place. Bad configuration stops before any port opens.

mod check; // what concerns several settings, and what the parts check themselves
mod deserialize; // the tree as serde reads it
mod environment; // variables and flags, laid over the file
mod file; // TOML to the tree
mod mistake; // what is wrong, and how it is shown
mod read; // the tree to typed settings
mod section; // which sections there are
mod tree; // settings with their places

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::{cli, telemetry};
use mistake::{Mistake, Source};
use section::SECTIONS;
use tree::{Node, Place, Step, Value};

/// The file that is read when none is named, if it is there.
pub const FILE_DEFAULT: &str = "sillage.toml";

/// Everything that can be set.
#[derive(Debug)]
pub struct Config {
    /// `[web]`: the console.
    pub web: web::Config,
    /// `[[access]]`: who may come in. None: everybody on loopback is an operator.
    pub access: Vec<web::Access>,
    /// `[otlp]`: the receiver of spans and logs.
    pub otlp: collector::otlp::Config,
    /// `[store]`: what is kept, and where.
    pub store: store::Config,
    /// `[[source]]`: the brokers that are watched.
    pub sources: Vec<collector::source::Config>,
    /// `[[redact]]`: what is taken out of everything before it is kept, beside what always is.
    pub redact: Vec<collector::redact::Config>,
    /// `[[convention]]`: how a team's own code writes retries and dead letters.
    pub conventions: Vec<collector::correlate::failure::own::Config>,
    /// `[[consumer]]`: which group a service consumes as, where its spans don't tell.
    pub consumers: Vec<store::groups::Consumer>,
    /// `[registry]`: where the schemas of records are had from.
    pub registry: collector::decode::registry::Config,
    /// `[redrive]`: sending dead letters back.
    pub redrive: store::redrive::Config,
    /// `[[webhook]]`: who is told of alerts.
    pub webhooks: Vec<collector::webhook::Config>,
    /// `[[alert]]`: what somebody is to be told of.
    pub alerts: Vec<store::alert::Rule>,
    /// `[alerting]`: how often that is looked at, and how soon it is told.
    pub alerting: collector::alert::Config,
    /// `[telemetry]`: where Sillage's own traces and logs go.
    pub telemetry: telemetry::Config,
    /// What was said, and not left to its default.
    pub named: Named,
}

impl Config {
    /// The alert rules that it asks for.
    pub fn rules(&self) -> collector::alert::Rules {
        let webhooks = self.webhooks.iter().map(|webhook| webhook.name.clone()).collect();
        collector::alert::Rules::new(self.alerts.clone(), webhooks, self.alerting.clone())
    }
}

/// Whether some settings were said, or left to their defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Named {
    /// Anything in the file at all; without it, a broker is looked for.
    pub file: bool,
    /// `[store] path`: `demo` then keeps its data.
    pub data: bool,
}

/// What the configuration is read from, beside the file.
#[derive(Clone, Default, Debug)]
pub struct Given {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--data`.
    pub data: Option<String>,
    /// The environment.
    pub variables: Vec<(String, String)>,
}

impl Given {
    /// What a command line gives, with the environment of this process.
    pub fn from_cli(common: &cli::Common, place: Option<&cli::Place>) -> Given {
        Given {
            file: common.config.clone(),
            listen: place.and_then(|place| place.listen.clone()),
            data: place.and_then(|place| place.data.clone()),
            // A variable that is no text can't be ours.
            variables: std::env::vars_os()
                .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
                .collect(),
        }
    }
}

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read, where there was one.
    pub file: Option<PathBuf>,
    /// What looks wrong but does no harm.
    pub warnings: Vec<String>,
}

/// A configuration that can't be used; shown as the whole report.
#[derive(Debug)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Reads the file, where there is one, and lays variables and flags over it.
pub fn load(given: &Given) -> Result<Loaded, Refused> {
    let (file, text) = match &given.file {
        Some(path) => (Some(path.clone()), read_text(path)?),
        None if Path::new(FILE_DEFAULT).exists() => (Some(FILE_DEFAULT.into()), read_text(Path::new(FILE_DEFAULT))?),
        None => (None, String::new()),
    };
    let name = file.as_ref().map_or_else(String::new, |path| path.display().to_string());
    let source = Source { name: &name, text: &text };
    let (config, warnings) = parse(source, given).map_err(|mistakes| report(&mistakes, source))?;
    Ok(Loaded { config, file, warnings })
}

fn read_text(path: &Path) -> Result<String, Refused> {
    let refused = |why: String| Refused(format!("error: the configuration file {} {why}\n", path.display()));
    let about = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => refused(
            "isn't there\n  = check the path after --config; without --config, ./sillage.toml is read if it exists"
                .to_owned(),
        ),
        _ => refused(format!("can't be read: {error}")),
    })?;
    if !about.is_file() {
        return Err(refused("is no file\n  = name the TOML file itself".to_owned()));
    }
    if about.len() > file::FILE_BYTES_MAX {
        return Err(refused(format!("is larger than {} bytes, so it is none of ours", file::FILE_BYTES_MAX)));
    }
    let bytes = std::fs::read(path).map_err(|error| refused(format!("can't be read: {error}")))?;
    String::from_utf8(bytes).map_err(|_| refused("is not UTF-8 text\n  = save it as UTF-8".to_owned()))
}

fn report(mistakes: &[Mistake], source: Source<'_>) -> Refused {
    let mut text: Vec<String> = mistakes.iter().map(|mistake| mistake.render(source)).collect();
    let many = if mistakes.len() == 1 { "1 mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) };
    text.push(format!("{many} in the configuration: nothing was started\n"));
    Refused(text.join("\n"))
}

fn parse(source: Source<'_>, given: &Given) -> Result<(Config, Vec<String>), Vec<Mistake>> {
    let (mut root, mut mistakes) = file::parse(source.text);
    let unreadable: Vec<Range<usize>> = mistakes.iter().filter_map(|mistake| line_of(mistake, source)).collect();
    let is_bare = matches!(&root.value, Value::Table(members) if members.is_empty());
    make_lists(&mut root);
    let sections = SECTIONS.map(|section| section.name);
    let warnings = environment::apply(given.variables.iter().cloned(), &sections, &mut root, &mut mistakes);
    if let Some(listen) = &given.listen {
        environment::apply_flag("--listen", "web", "listen", listen, &mut root);
    }
    if let Some(data) = &given.data {
        environment::apply_flag("--data", "store", "path", data, &mut root);
    }
    section::known(&root, &mut mistakes);
    let named = Named { file: !is_bare, data: root.at(&path(&["store", "path"])).is_some() };
    let web = single("web", &root, &mut mistakes);
    let access = repeated("access", &root, &mut mistakes);
    let otlp = single("otlp", &root, &mut mistakes);
    let store = single("store", &root, &mut mistakes);
    let sources = repeated("source", &root, &mut mistakes);
    let redact = repeated("redact", &root, &mut mistakes);
    let conventions = repeated("convention", &root, &mut mistakes);
    let consumers = repeated("consumer", &root, &mut mistakes);
    let registry = single("registry", &root, &mut mistakes);
    let redrive = single("redrive", &root, &mut mistakes);
    let webhooks = repeated("webhook", &root, &mut mistakes);
    let alerts = repeated("alert", &root, &mut mistakes);
    let alerting = single("alerting", &root, &mut mistakes);
    let telemetry = single("telemetry", &root, &mut mistakes);
    let (
        Some(web),
        Some(access),
        Some(otlp),
        Some(store),
        Some(sources),
        Some(redact),
        Some(conventions),
        Some(consumers),
        Some(registry),
        Some(redrive),
        Some(webhooks),
        Some(alerts),
        Some(alerting),
        Some(telemetry),
    ) = (
        web,
        access,
        otlp,
        store,
        sources,
        redact,
        conventions,
        consumers,
        registry,
        redrive,
        webhooks,
        alerts,
        alerting,
        telemetry,
    )
    else {
        return Err(in_order(mistakes, &unreadable, source));
    };
    let config = Config {
        web,
        access,
        otlp,
        store,
        sources,
        redact,
        conventions,
        consumers,
        registry,
        redrive,
        webhooks,
        alerts,
        alerting,
        telemetry,
        named,
    };
    check::check(&config, &root, &mut mistakes);
    if mistakes.is_empty() { Ok((config, warnings)) } else { Err(in_order(mistakes, &unreadable, source)) }
}

/// Makes an empty list of every repeated section that isn't there, so that variables can begin it.
fn make_lists(root: &mut Node) {
    for section in SECTIONS.iter().filter(|section| section.repeats) {
        if root.member(section.name).is_none() {
            let list = Node { place: Place::Default, value: Value::List(Vec::new()) };
            let _ = root.put(&path(&[section.name]), list);
        }
    }
}

fn path(keys: &[&str]) -> Vec<Step> {
    keys.iter().map(|key| Step::Key((*key).to_owned())).collect()
}

/// The line that a mistake stands on, where it stands in the file.
fn line_of(mistake: &Mistake, source: Source<'_>) -> Option<Range<usize>> {
    match &mistake.place {
        Place::File(range) => Some(file::line_around(source.text, range.start)),
        Place::Variable(_) | Place::Flag(_) | Place::Default => None,
    }
}

/// As people read: from the top of the file down, then what stands elsewhere. Of a line that is no TOML only that is told,
/// and after a broken `[header]` nothing else of the file: its keys seem to belong elsewhere.
fn in_order(mut mistakes: Vec<Mistake>, unreadable: &[Range<usize>], source: Source<'_>) -> Vec<Mistake> {
    let header_broken = unreadable.iter().any(|line| source.text[line.clone()].trim_start().starts_with('['));
    let mut told = 0;
    mistakes.retain(|mistake| {
        told += 1;
        match line_of(mistake, source) {
            Some(line) if told > unreadable.len() => !header_broken && !unreadable.contains(&line),
            _ => true,
        }
    });
    mistakes.sort_by_key(|mistake| match &mistake.place {
        Place::File(range) => (0, range.start),
        Place::Variable(_) => (1, 0),
        Place::Flag(_) => (2, 0),
        Place::Default => (3, 0),
    });
    mistakes
}

fn single<T: DeserializeOwned>(name: &str, root: &Node, mistakes: &mut Vec<Mistake>) -> Option<T> {
    let title = format!("[{name}]");
    let Some(member) = root.member(name) else {
        return read::section(&title, &path(&[name]), &Node::empty(Place::Default), mistakes);
    };
    if matches!(member.node.value, Value::List(_)) {
        let says = format!("{title} is given once: single brackets are needed, not double ones");
        mistakes.push(Mistake { place: member.place.clone(), says, hint: Some(format!("write {title}")) });
        return None;
    }
    read::section(&title, &path(&[name]), &member.node, mistakes)
}

fn repeated<T: DeserializeOwned>(name: &str, root: &Node, mistakes: &mut Vec<Mistake>) -> Option<Vec<T>> {
    let title = format!("[[{name}]]");
    let Some(member) = root.member(name) else { return Some(Vec::new()) };
    let Value::List(nodes) = &member.node.value else {
        let says = format!("{title} may be given several times: double brackets are needed");
        mistakes.push(Mistake { place: member.place.clone(), says, hint: Some(format!("write {title}")) });
        return None;
    };
    let mut all = Some(Vec::new());
    for (index, node) in nodes.iter().enumerate() {
        let steps = [Step::Key(name.to_owned()), Step::Index(index)];
        let section = read::section(&title, &steps, node, mistakes);
        all = all.zip(section).map(|(mut all, section)| {
            all.push(section);
            all
        });
    }
    all
}

/// An error with what caused it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod documented; // what the documents say of the settings
#[cfg(test)]
mod tests;
