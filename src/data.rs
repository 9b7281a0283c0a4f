//! `sillage store`: verifies a data folder, says what is in it, makes its index anew, copies it while it is in use.

use std::path::Path;

use anyhow::anyhow;
use store::config::Size;
use store::index::backup::backup;
use store::index::inspect::{Depth, Inspection, inspect};
use store::index::rebuild::rebuild;

use crate::cli::{self, StoreTask};
use crate::config::{self, Given};
use crate::failure::Failure;
use crate::log;
use crate::serve::say;

/// Runs one of its tasks.
pub fn run(command: cli::StoreCommand) -> Result<(), Failure> {
    let place = cli::Place { listen: None, data: command.data.clone() };
    let loaded = config::load(&Given::from_cli(&command.common, Some(&place)))?;
    log::start(command.common.log.as_deref().or(Some("warn")))?;
    let folder = loaded.config.store.path;
    let done = match command.task {
        StoreTask::Check => check(&folder),
        StoreTask::Stats => stats(&folder),
        StoreTask::Rebuild => rebuilt(&folder),
        StoreTask::Backup { to } => backed_up(&folder, &to),
    };
    done.map_err(Failure::from)
}

fn check(folder: &Path) -> anyhow::Result<()> {
    let found = inspect(folder, Depth::Whole)?;
    let damages = found.damages();
    say(&format!("{}: {}\n", folder.display(), summary(&found)));
    found.unfinished.iter().for_each(|unfinished| say(&format!("  {unfinished}\n")));
    if damages.is_empty() {
        let rest =
            if found.unfinished.is_empty() { "every byte of it is whole" } else { "all the rest of it is whole" };
        say(&format!("{rest}\n"));
        return Ok(());
    }
    damages.iter().for_each(|damage| say(&format!("  DAMAGED {damage}\n")));
    Err(anyhow!(
        "{} damaged: stop Sillage, and `sillage store rebuild` saves what can be saved of segments and what is known beside them",
        counted(damages.len() as u64, "file")
    ))
}

fn stats(folder: &Path) -> anyhow::Result<()> {
    let found = inspect(folder, Depth::Glance)?;
    say(&format!("{}: {}\n", folder.display(), summary(&found)));
    if !found.segments.is_empty() {
        say("  segment            records      spans       logs       size  from                      to\n");
    }
    for segment in &found.segments {
        let [records, spans, logs] = segment.kinds;
        let (from, to) = segment.times.map_or_else(Default::default, |(from, to)| (seconds(from), seconds(to)));
        let size = Size(segment.bytes).to_string();
        say(&format!("  {:016} {records:>9} {spans:>10} {logs:>10} {size:>10}  {from:<25} {to}\n", segment.number));
    }
    for log in &found.logs {
        say(&format!("  log {:016}  {}, {}\n", log.number, counted(log.entries, "entry"), Size(log.bytes)));
    }
    for name in &found.set_aside {
        say(&format!("  set aside as damaged: {name}\n"));
    }
    Ok(())
}

fn rebuilt(folder: &Path) -> anyhow::Result<()> {
    let rebuilt = rebuild(folder)?;
    let (segments, entries) = (counted(rebuilt.segments, "segment"), counted(rebuilt.entries, "entry"));
    say(&format!("{}: {segments} made anew, with {entries}\n", folder.display()));
    if rebuilt.recovered > 0 {
        say(&format!("  {} of them had been set aside as damaged\n", rebuilt.recovered));
    }
    rebuilt.lost.iter().for_each(|lost| say(&format!("  LOST {lost}\n")));
    if rebuilt.lost.is_empty() {
        Ok(())
    } else {
        Err(anyhow!("not everything could be read; those files are kept in `{}`", folder.join("damaged").display()))
    }
}

fn backed_up(folder: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = backup(folder, to)?;
    // A backup that can't be read is none: it is looked through before anybody relies on it.
    let found = inspect(to, Depth::Whole)?;
    let damages = found.damages();
    say(&format!(
        "{}: {} in {}; {}\n",
        to.display(),
        Size(copied.bytes),
        counted(copied.files, "file"),
        summary(&found)
    ));
    match damages.first() {
        None => Ok(()),
        Some(first) => Err(anyhow!("the copy is damaged, as the original probably is: {first}")),
    }
}

fn summary(found: &Inspection) -> String {
    let logged: u64 = found.logs.iter().map(|log| log.entries).sum();
    let segments = counted(found.segments.len() as u64, "segment");
    let mut text =
        format!("{} in {segments}, {logged} in the log, {}", counted(found.entries(), "entry"), Size(found.bytes));
    if !found.set_aside.is_empty() {
        text.push_str(&format!("; {} set aside as damaged", found.set_aside.len()));
    }
    text
}

fn counted(many: u64, what: &str) -> String {
    match (many, what) {
        (1, what) => format!("1 {what}"),
        (many, "entry") => format!("{many} entries"),
        (many, what) => format!("{many} {what}s"),
    }
}

/// A time without its fractions.
fn seconds(at: store::Timestamp) -> String {
    let text = at.to_string();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
