//! What README, `sillage.toml` and docker-compose.yml say of the settings, checked against the settings themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

fn repository(file: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).ok()
}

fn parsed(text: &str, variables: &[(String, String)]) -> Result<Config, String> {
    let source = Source { name: "test", text };
    let given = Given { variables: variables.to_vec(), ..Given::default() };
    parse(source, &given).map(|(config, _)| config).map_err(|mistakes| report(&mistakes, source).to_string())
}

/// Every setting that the parts know, as README writes it.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let mut add = |section: &str, keys: Vec<&'static str>| {
        known.extend(keys.into_iter().map(|key| format!("{section}.{key}")));
    };
    add("web", read::known_keys::<web::Config>(&[]));
    add("access", read::known_keys::<web::Access>(&[]));
    add("otlp", read::known_keys::<collector::otlp::Config>(&[]));
    add("store", read::known_keys::<store::Config>(&[]));
    add("redact", read::known_keys::<collector::redact::Config>(&[]));
    add("convention", read::known_keys::<collector::correlate::failure::own::Config>(&[]));
    add("consumer", read::known_keys::<store::groups::Consumer>(&[]));
    add("registry", read::known_keys::<collector::decode::registry::Config>(&[]));
    add("redrive", read::known_keys::<store::redrive::Config>(&[]));
    add("webhook", read::known_keys::<collector::webhook::Config>(&[]));
    add("alert", read::known_keys::<store::alert::Rule>(&[]));
    add("alerting", read::known_keys::<collector::alert::Config>(&[]));
    add("telemetry", read::known_keys::<telemetry::Config>(&[]));
    add("source", vec!["type"]);
    for kind in ["kafka", "nats"] {
        add("source", read::known_keys::<collector::source::Config>(&[("type", kind)]));
    }
    known
}

/// The rows of README's table: setting and default, without backticks.
fn rows() -> Vec<(String, String)> {
    let readme = repository("README.md").expect("README.md is in the repository");
    let cell = |cell: Option<&str>| cell.unwrap_or("").trim().trim_matches('`').to_owned();
    readme
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains('.'))
        .map(|line| {
            let mut cells = line.split('|').skip(1);
            (cell(cells.next()), cell(cells.next()))
        })
        .filter(|(setting, _)| SECTIONS.iter().any(|section| setting.starts_with(&format!("{}.", section.name))))
        .collect()
}

#[test]
fn readme_lists_every_setting_and_no_other() {
    let listed: BTreeSet<String> = rows().into_iter().map(|(setting, _)| setting).collect();
    assert_eq!(listed, known());
}

#[test]
fn the_defaults_that_readme_names_are_the_defaults() {
    let without = format!("{:?}", parsed("", &[]).unwrap());
    for (setting, default) in rows() {
        let (section, key) = setting.split_once('.').unwrap();
        if default.is_empty() || SECTIONS.iter().any(|known| known.name == section && known.repeats) {
            continue;
        }
        let variable = environment::variable(&path(&[section, key]));
        let with = format!("{:?}", parsed("", &[(variable, default.clone())]).unwrap());
        // That the folder was named makes no other setting.
        assert_eq!(with.replace("data: true", "data: false"), without, "{setting} is not {default} by default");
    }
}

/// A certificate, which `ca` must hold to be right. Made for this by `openssl req -x509`, its key thrown away.
const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBlzCCAT+gAwIBAgIUVg+VFpEsdZEOrn40bdxpJWic8tgwCgYIKoZIzj0EAwIw\n\
ITEfMB0GA1UEAwwWQSByZWdpc3RyeSdzIGF1dGhvcml0eTAgFw0yNjExMjUxNzMy\n\
MDhaGA8yMTI2MTEwMTE3MzIwOFowITEfMB0GA1UEAwwWQSByZWdpc3RyeSdzIGF1\n\
dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDIzsz+QS4VRssS73Mtq\n\
yu5KSqvu3QUwcHGzc283TIzP8bdgx/sJ8OCFNwgXRgZqzKq+5u7P3CflsMkLm4J4\n\
tX2jUzBRMB0GA1UdDgQWBBTmGernvhRj7b4b/urfN5Neizz16DAfBgNVHSMEGDAW\n\
gBTmGernvhRj7b4b/urfN5Neizz16DAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49\n\
BAMCA0YAMEMCH1we1hOi1FldBqO9p2PNBFe85UBmAPPYuRXvqLFN9IECIFXM9oR7\n\
dxtGuFRFnV0cPiyF/9aUR1o9Uqxy9glmDAV/\n\
-----END CERTIFICATE-----\n\n";

#[test]
fn the_example_file_is_right_and_names_every_setting() {
    let example = repository("sillage.toml").expect("sillage.toml is in the repository");
    assert!(example.lines().all(|line| line.is_empty() || line.starts_with('#')), "as it is, it sets nothing");
    let settings: Vec<&str> =
        example.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| !line.starts_with(' ')).collect();
    // Secrets that every machine has, in place of those that the example speaks of.
    let secrets = ["env:KAFKA_PASSWORD", "env:NTFY_TOKEN", "env:OTLP_KEY"];
    let all = secrets.iter().fold(settings.join("\n"), |all, secret| all.replace(secret, "env:PATH"));
    let all = ["nats-password", "nats-token", "registry-password"]
        .iter()
        .fold(all, |all, name| all.replace(&format!("file:/run/secrets/{name}"), "env:PATH"));
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("registry-ca.pem");
    fs::write(&authority, AUTHORITY).unwrap();
    let secret = folder.path().join("webhook");
    fs::write(&secret, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    let all = all.replace("/run/secrets/webhook", secret.to_str().unwrap());
    let all = ["registry-ca.pem", "webhook-ca.pem"]
        .iter()
        .fold(all, |all, name| all.replace(name, authority.to_str().unwrap()));
    parsed(&all, &[]).unwrap_or_else(|report| panic!("{report}"));
    for setting in known() {
        let (_, key) = setting.split_once('.').unwrap();
        let is_named = settings.iter().any(|line| line.starts_with(&format!("{key} = ")));
        assert!(is_named, "{setting} is missing in sillage.toml");
    }
}
/// The `SILLAGE_*` variables of a compose file, by the service that sets them: `NAME: value` or `- NAME=value`, with `${X:-default}` as its default.
fn compose_variables(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim().trim_start_matches("- ").trim_matches('"');
            let line = line.strip_prefix("SILLAGE_")?;
            let (name, value) = line.split_once([':', '='])?;
            let value = value.trim().trim_matches(['"', '\'']);
            let value = value
                .strip_prefix("${")
                .and_then(|rest| Some(rest.split_once(":-")?.1.trim_end_matches('}')))
                .unwrap_or(value);
            Some((format!("SILLAGE_{name}"), value.to_owned()))
        })
        .collect()
}

/// The text of the configuration file that a compose file carries: the block under `content: |`, without its indentation.
fn compose_file(text: &str) -> String {
    let mut lines = text.lines().skip_while(|line| line.trim() != "content: |").skip(1).peekable();
    let indent = lines.peek().map_or(0, |line| line.len() - line.trim_start().len());
    let is_inside = |line: &&str| line.trim().is_empty() || line.len() - line.trim_start().len() >= indent;
    lines.take_while(is_inside).map(|line| line.get(indent..).unwrap_or("")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_settings_in_the_compose_file_are_known_and_good() {
    let compose = repository("docker-compose.yml").expect("docker-compose.yml is in the repository");
    let variables = compose_variables(&compose);
    for (name, _) in &variables {
        assert!(name.contains("__"), "{name} is no setting");
    }
    let file = compose_file(&compose);
    assert!(file.contains("[web]") && !file.contains("volumes:"), "this is not the file: {file}");
    let config = parsed(&file, &variables).unwrap_or_else(|report| panic!("{report}"));
    assert!(!config.web.listen.ip().is_loopback(), "a container's loopback is reached by nobody");
    assert!(!config.otlp.grpc.ip().is_loopback() && !config.otlp.http.ip().is_loopback());
    assert!(!config.sources.is_empty(), "it watches the Kafka beside it");
    for address in [config.web.listen, config.otlp.grpc, config.otlp.http] {
        let published = format!("127.0.0.1:{0}:{0}", address.port());
        assert!(compose.contains(&published), "{published} is not published, or not on loopback only");
    }
}
