//! The one message of a redrive, edited before it is sent: its value in a form, and what is changed.

use store::redrive::edit;
use store::redrive::{DryRun, NotEdited};

use crate::difference::Difference;
use crate::redriving::{self, Edited};
use crate::state::AppState;

/// What the form shows.
#[derive(Default)]
pub struct Editing {
    /// The value, as it is or as it was edited.
    pub value: String,
    /// What is changed; `None` where nothing is.
    pub difference: Option<Difference>,
    /// What somebody should know before it is sent.
    pub warning: Option<String>,
    /// Why it can't be edited, or not so.
    pub refused: Option<String>,
    /// Whether somebody looks at what they edited.
    pub is_looked_at: bool,
}

impl Editing {
    /// For a page of a dry run, with what its form sent; `None` where more than one message would be sent, or none.
    pub fn of(state: &AppState, run: &DryRun, sent: Option<&str>) -> Option<Editing> {
        let (_, plan) = redriving::only(run).ok()?;
        let refused = |error: NotEdited| Some(format!("It can't be edited here: {error}."));
        let before = match edit::editable(plan, &state.board.redaction()) {
            Ok(before) => before,
            Err(error) => return Some(Editing { refused: refused(error), ..Editing::default() }),
        };
        let Some(sent) = sent else {
            let refused = edit::of_form(before, before).err().and_then(refused);
            return Some(Editing { value: before.to_owned(), refused, ..Editing::default() });
        };
        Some(match redriving::edit(state, run, Edited::OfForm(sent.to_owned())) {
            Ok(None) => Editing { value: before.to_owned(), is_looked_at: true, ..Editing::default() },
            Ok(Some(edit)) => Editing {
                difference: Some(Difference::shown(&edit.before, &edit.after)),
                warning: edit.warning(),
                value: edit.after,
                refused: None,
                is_looked_at: true,
            },
            // What somebody wrote is not lost.
            Err(error) => Editing { value: sent.to_owned(), refused: refused(error), ..Editing::default() },
        })
    }

    /// Whether there is a form.
    pub fn can_be_edited(&self) -> bool {
        self.refused.is_none() || !self.value.is_empty()
    }

    /// Whether an edited value would be sent.
    pub fn is_edited(&self) -> bool {
        self.difference.is_some()
    }
}
