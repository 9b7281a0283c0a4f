//! What concerns several settings, and what the parts check themselves.

use std::collections::BTreeMap;

use collector::webhook::WEBHOOKS_MAX;
use store::alert::rule::RULES_MAX;

use super::mistake::{Mistake, nearest};
use super::tree::{Node, Place, Step, Value};
use super::{Config, chain, path};

/// Tells what is wrong with settings that could be read one by one.
pub fn check(config: &Config, root: &Node, mistakes: &mut Vec<Mistake>) {
    let mut tell = |steps: &[Step], says: String, hint: &str| {
        let place = root.at(steps).map_or(Place::Default, |node| node.place.clone());
        mistakes.push(Mistake { place, says, hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()) });
    };
    let addresses = [
        (["web", "listen"], config.web.listen, config.web.allow_unauthenticated),
        (["otlp", "grpc"], config.otlp.grpc, config.otlp.allow_unauthenticated),
        (["otlp", "http"], config.otlp.http, config.otlp.allow_unauthenticated),
    ];
    for ([section, key], address, allow_unauthenticated) in addresses {
        if !address.ip().is_loopback() && config.access.is_empty() && !allow_unauthenticated {
            let says = format!(
                "`{key}` in [{section}] is {address}, which other machines reach, and nobody has to say who they are"
            );
            let hint = format!("add [[access]], or set allow_unauthenticated = true in [{section}]");
            tell(&path(&[section, key]), says, &hint);
        }
    }
    for (index, (this, address, _)) in addresses.iter().enumerate() {
        for (other, taken, _) in &addresses[..index] {
            if address == taken && address.port() != 0 {
                let says =
                    format!("`{}` in [{}] is {address}, like `{}` in [{}]", this[1], this[0], other[1], other[0]);
                tell(&path(this), says, "give each its own port");
            }
        }
    }
    if let Err(error) = config.otlp.check() {
        tell(&path(&["otlp", "forward"]), chain(&error), "");
    }
    if let Err(error) = config.registry.check() {
        let says = chain(&error);
        let section = path(&["registry"]);
        let steps = [&section[..], &key_in(&says, root.at(&section))].concat();
        tell(&steps, says, "");
    }
    if let Err((key, says)) = config.redrive.check() {
        tell(&path(&["redrive", key]), says, "");
    }
    let mut webhooks = BTreeMap::new();
    for (index, webhook) in config.webhooks.iter().enumerate() {
        let steps = [Step::Key("webhook".to_owned()), Step::Index(index), Step::Key("name".to_owned())];
        if let Err(error) = webhook.check() {
            let says = chain(&error);
            let steps = [&steps[..2], &key_in(&says, root.at(&steps[..2]))].concat();
            tell(&steps, says, "");
        } else if webhooks.insert(webhook.name.trim(), index).is_some() {
            let says = format!("two [[webhook]] are called `{}`", webhook.name);
            tell(&steps, says, "give each its own name: rules name them by it");
        } else if index == WEBHOOKS_MAX {
            let says = format!("there are more than {WEBHOOKS_MAX} [[webhook]]");
            tell(&steps, says, "let one of them hand on to the others");
        }
    }
    if let Err((key, why)) = config.telemetry.check(&[config.otlp.grpc, config.otlp.http]) {
        tell(&path(&["telemetry", key]), format!("`{key}` in [telemetry]: {why}"), "");
    }
    let mut people = BTreeMap::new();
    for (index, access) in config.access.iter().enumerate() {
        let steps = |key: &str| [Step::Key("access".to_owned()), Step::Index(index), Step::Key(key.to_owned())];
        if people.insert(access.name.as_str(), index).is_some() {
            tell(&steps("name"), format!("two [[access]] are called `{}`", access.name), "give each its own name");
        }
        if let Err(error) = access.secret.reveal() {
            let says = format!("`secret` of [[access]] `{}`: {}", access.name, chain(&error));
            tell(&steps("secret"), says, "give the secret itself, or \"file:PATH\", or \"env:NAME\"");
        }
    }
    for (index, rule) in config.redact.iter().enumerate() {
        if let Err(error) = rule.check() {
            let says = chain(&error);
            let steps = [Step::Key("redact".to_owned()), Step::Index(index)];
            let steps = [&steps[..], &key_in(&says, root.at(&steps))].concat();
            tell(&steps, says, "");
        }
    }
    alerts(config, root, &mut tell);
    let mut conventions = BTreeMap::new();
    for (index, convention) in config.conventions.iter().enumerate() {
        let steps = [Step::Key("convention".to_owned()), Step::Index(index), Step::Key("name".to_owned())];
        if let Err(error) = convention.check() {
            let says = chain(&error);
            let steps = [&steps[..2], &key_in(&says, root.at(&steps[..2]))].concat();
            tell(&steps, says, "");
        } else if conventions.insert(convention.name.as_str(), index).is_some() {
            let says = format!("two [[convention]] are called `{}`", convention.name);
            tell(&steps, says, "give each its own name: it is shown with what it recognised");
        }
    }
    let mut names = BTreeMap::new();
    for (index, source) in config.sources.iter().enumerate() {
        let steps = [Step::Key("source".to_owned()), Step::Index(index), Step::Key("name".to_owned())];
        let name = source.name();
        if let Err(error) = source.check() {
            let says = chain(&error);
            let steps = [&steps[..2], &key_in(&says, root.at(&steps[..2]))].concat();
            tell(&steps, says, "");
        } else if ["otlp", collector::decode::registry::NAME].contains(&name.as_str()) {
            tell(&steps, format!("a [[source]] can't be called `{name}`"), "choose another name");
        } else if names.insert(name.clone(), index).is_some() {
            tell(
                &steps,
                format!("two [[source]] are called `{name}`"),
                "give each its own name: it is part of every record's address",
            );
        }
    }
}

/// What is wrong with `[alerting]` and each `[[alert]]`.
fn alerts(config: &Config, root: &Node, tell: &mut impl FnMut(&[Step], String, &str)) {
    for says in config.alerting.check() {
        let section = path(&["alerting"]);
        let steps = [&section[..], &key_in(&says, root.at(&section))].concat();
        tell(&steps, says, "");
    }
    let webhooks = names_of("webhook", root);
    let mut names = BTreeMap::new();
    for (index, rule) in config.alerts.iter().enumerate() {
        let section = [Step::Key("alert".to_owned()), Step::Index(index)];
        if index == RULES_MAX {
            tell(
                &section,
                format!("more than {RULES_MAX} [[alert]]"),
                "patterns such as group = \"billing*\" make one of many",
            );
            return;
        }
        for says in rule.check() {
            let steps = [&section[..], &key_in(&says, root.at(&section))].concat();
            tell(&steps, format!("{says} ([[alert]] `{}`)", rule.name), "");
        }
        if names.insert(rule.name.as_str(), index).is_some() {
            let steps = [&section[..], &path(&["name"])].concat();
            let says = format!("two [[alert]] are called `{}`", rule.name);
            tell(&steps, says, "give each its own name: it is what its alerts are told apart by");
        }
        for (number, webhook) in rule.webhooks.iter().flatten().enumerate() {
            if webhooks.contains(&webhook.as_str()) {
                continue;
            }
            let steps = [&section[..], &path(&["webhooks"]), &[Step::Index(number)]].concat();
            let hint = match nearest(webhook, &webhooks) {
                Some(near) => format!("did you mean `{near}`?"),
                None if webhooks.is_empty() => "there is no [[webhook]]: add one, or leave the key out".to_owned(),
                None => format!("known: {}", webhooks.join(", ")),
            };
            tell(&steps, format!("no [[webhook]] is called `{webhook}`"), &hint);
        }
    }
}

/// The names that the tables of a repeated section give themselves.
pub fn names_of<'a>(section: &str, root: &'a Node) -> Vec<&'a str> {
    let Some(Value::List(tables)) = root.member(section).map(|member| &member.node.value) else { return Vec::new() };
    let names = tables.iter().filter_map(|table| table.member("name"));
    names
        .filter_map(|name| match &name.node.value {
            Value::Text(text) | Value::Raw(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

/// The key that a part's own message speaks of: the first word in backticks that is a key of the section, or of its options.
fn key_in(says: &str, section: Option<&Node>) -> Vec<Step> {
    let Some(section) = section else { return Vec::new() };
    // Where both have the key, the message names the table that is meant.
    let meant = |table: &&str| *table == "options" || says.contains(&format!("`{table}`"));
    let tables: Vec<&str> = ["redrive_options", "options"].into_iter().filter(meant).collect();
    let mut steps = says.split('`').skip(1).step_by(2).filter_map(|word| {
        let inside = |table: &&&str| section.member(table).is_some_and(|options| options.node.member(word).is_some());
        match tables.iter().find(inside) {
            Some(table) => Some(path(&[table, word])),
            None => section.member(word).filter(|_| !tables.contains(&word)).map(|_| path(&[word])),
        }
    });
    steps.next().unwrap_or_default()
}
