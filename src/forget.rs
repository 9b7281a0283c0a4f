//! `sillage forget`: takes entries out of the data folder for good. First what would go, then, with `--yes`, it goes.
//!
//! Two processes must not share a folder: where one uses it, that one is asked, over its API; else the folder is opened here.

pub mod running; // asks the process that uses the folder

use std::path::Path;

use anyhow::{Context, anyhow};
use store::engine::Forgotten;
use store::erasure::{By, Preview, Wanted};
use store::file::FolderLock;
use store::{Journal, StoreError};

use crate::cli;
use crate::config::{self, Config, Given};
use crate::failure::Failure;
use crate::log;
use crate::serve::say;

/// Who did it, as the journal has it, when nobody had to say who they are.
const WHO: &str = "command line";

/// What went, or would go.
#[derive(Default)]
struct Told {
    entries: u64,
    at_least: bool,
    files: Vec<(String, u64)>,
    /// Entries that were forgotten before and still stand in files.
    erasing: u64,
    unfinished: Option<String>,
    /// What can't be looked into.
    unread: Vec<String>,
}

/// Runs the command.
pub fn run(forget: cli::Forget) -> Result<(), Failure> {
    let place = cli::Place { listen: forget.listen.clone(), data: forget.data.clone() };
    let loaded = config::load(&Given::from_cli(&forget.common, Some(&place)))?;
    log::start(forget.common.log.as_deref().or(Some("warn")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow::Error::new(error).context("can't start threads"))?;
    let wanted = wanted(&forget);
    let told = runtime.block_on(carry_out(&loaded.config, &wanted, forget.yes))?;
    say(&described(&told, forget.yes));
    match told.unfinished {
        None => Ok(()),
        Some(reason) => Err(anyhow!(
            "what was forgotten is hidden for good, but still stands in files ({reason}): removing it goes on by itself \
             while Sillage runs, and when you give this command again"
        )
        .into()),
    }
}

fn wanted(forget: &cli::Forget) -> Wanted {
    let given = [
        (By::Key, &forget.wanted.key),
        (By::Event, &forget.wanted.event),
        (By::Trace, &forget.wanted.trace),
        (By::Query, &forget.wanted.query),
    ];
    let mut given = given.into_iter().filter_map(|(by, value)| Some(Wanted { by, value: value.clone()? }));
    given.next().expect("the command line has exactly one of them")
}

async fn carry_out(config: &Config, wanted: &Wanted, yes: bool) -> anyhow::Result<Told> {
    wanted.query()?;
    if is_in_use(&config.store.path)? {
        let (config, access) = (config.web.clone(), config.access.clone());
        let wanted = wanted.clone();
        return tokio::task::spawn_blocking(move || running::ask(&config, &access, &wanted, yes)).await?;
    }
    let path = config.store.path.clone();
    let store = store::open(config.store.clone()).await?;
    let told = async {
        if yes {
            let forgotten = wanted.forget(store.as_ref(), &Journal::open(&path)?, WHO).await?;
            let Forgotten { entries, files, unfinished, unread } = forgotten;
            anyhow::Ok(Told { entries, files, unfinished, unread, ..Told::default() })
        } else {
            let preview = wanted.preview(store.as_ref()).await?;
            let Preview { at_least, erasing, .. } = preview;
            Ok(Told { entries: preview.entries(), at_least, erasing, ..Told::default() })
        }
    };
    let told = told.await;
    store.close().await?;
    told
}

/// Whether another process uses the folder. It must be there: forgetting makes none.
pub fn is_in_use(folder: &Path) -> anyhow::Result<bool> {
    if !folder.join("segments").exists() {
        return Err(anyhow!(
            "there is no data folder at `{}`: name it with --data, or in [store] path",
            folder.display()
        ));
    }
    match FolderLock::take(folder) {
        Ok(_) => Ok(false),
        Err(StoreError::Unusable(_)) => Ok(true),
        Err(error) => Err(error).context("can't tell whether the data folder is in use"),
    }
}

fn described(told: &Told, yes: bool) -> String {
    let at_least = if told.at_least { "at least " } else { "" };
    let entries = if told.entries == 1 { "1 entry".to_owned() } else { format!("{} entries", told.entries) };
    let mut text = match (told.entries, yes) {
        (0, _) => "nothing is kept that this names\n".to_owned(),
        (_, false) => format!("{at_least}{entries} would go for good; nothing was changed yet: add --yes\n"),
        (_, true) if told.unfinished.is_some() => format!("{entries} hidden\n"),
        (_, true) => format!("{entries} gone\n"),
    };
    for (file, many) in &told.files {
        text.push_str(&format!("  {many} from {file}\n"));
    }
    if told.erasing > 0 {
        text.push_str(&format!("{} forgotten earlier still in files: add --yes to go on with that\n", told.erasing));
    }
    for name in &told.unread {
        text.push_str(&format!("  damaged/{name} can't be looked into, and may hold some of it: remove it, or try `sillage store rebuild`\n"));
    }
    text
}
