//! Secrets, which stand in a file or the environment and never in the configuration itself.

use crate::error::CollectorError;

/// Whether a value says where the secret is, instead of holding it.
pub fn is_elsewhere(value: &str) -> bool {
    secret_place(value).is_some()
}

enum Secret<'a> {
    File(&'a str),
    Environment(&'a str),
}

fn secret_place(value: &str) -> Option<Secret<'_>> {
    if let Some(path) = value.strip_prefix("file:") {
        return Some(Secret::File(path));
    }
    value.strip_prefix("env:").map(Secret::Environment)
}

/// A value as it is, or what its `file:` or `env:` holds, without the newline that editors add.
pub fn read(source: &str, key: &str, value: &str) -> Result<String, CollectorError> {
    reveal(key, value).map_err(|why| CollectorError::Config(format!("source `{source}`: {why}")))
}

/// The same, with what is wrong in words that don't say whose key it is.
pub fn reveal(key: &str, value: &str) -> Result<String, String> {
    match secret_place(value) {
        None => Ok(value.to_owned()),
        Some(Secret::File(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => Err(format!("can't read `{key}` from file `{path}`: {error}")),
        },
        Some(Secret::Environment(name)) => {
            std::env::var(name).map_err(|_| format!("`{key}` should come from environment `{name}`, which isn't set"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_from_files_without_their_last_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "s3 cret\n").unwrap();
        assert_eq!(read("main", "sasl.password", &format!("file:{}", path.display())).unwrap(), "s3 cret");
        let missing = read("main", "sasl.password", "file:/nowhere/at/all").unwrap_err().to_string();
        assert!(missing.contains("/nowhere/at/all"), "{missing}");
        assert!(read("main", "sasl.password", "env:SILLAGE_NOT_SET").unwrap_err().to_string().contains("isn't set"));
    }
}
