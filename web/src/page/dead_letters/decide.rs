//! Dismisses dead letters with a note, or opens them again: what was selected, or all that an address asks for.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use store::Position;
use store::dead_letters::dismissal::NOTE_BYTES_MAX;
use store::dead_letters::{self, DeadLetter, State as LetterState};
use store::engine::Cursor;

use super::asked::{self, Asked};
use crate::door::Visitor;
use crate::href::Links;
use crate::page::{Frame, Problem};
use crate::state::AppState;
use crate::wording;

/// The form that does it.
pub struct Form {
    /// The address that asks for what is decided of.
    pub asked: String,
    /// Only what was there when the page was shown: nobody decides of what they haven't seen.
    pub newest: String,
    /// Whether it opens them again.
    pub opens: bool,
}

impl Form {
    /// For what a page shows, from its newest on.
    pub fn of(asked: &Asked, newest: Option<&DeadLetter>, state: LetterState) -> Form {
        let href = asked.of_api(Links::below("").dead_letters()).to_string();
        Form {
            asked: href.split_once('?').map_or_else(String::new, |(_, query)| query.to_owned()),
            newest: newest.map_or_else(String::new, |letter| letter.cursor.to_text()),
            opens: state == LetterState::Dismissed,
        }
    }
}

/// `POST /dead-letters/decide`.
pub async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    frame: Frame,
    form: String,
) -> Result<Response, Problem> {
    let wrong = |says: &str| {
        Problem::new(StatusCode::BAD_REQUEST, "This can't be done")
            .because(says)
            .try_instead("All dead letters", frame.links.dead_letters())
    };
    let value = |name: &str| asked::pairs(&form).find(|(field, _)| field == name).map(|(_, value)| value);
    let mut asked = Asked::read(&value("asked").unwrap_or_default()).map_err(|says| wrong(&says))?;
    let newest = value("newest").and_then(|text| Cursor::from_text(&text));
    let newest =
        newest.ok_or_else(|| wrong("The form doesn't say which dead letters it showed. Nothing was changed."))?;
    let opens = value("opens").is_some();
    let note = value("note").unwrap_or_default();
    if note.len() > NOTE_BYTES_MAX {
        let most = wording::bytes(NOTE_BYTES_MAX as u64);
        return Err(wrong(&format!("The note is longer than {most}. Nothing was changed.")));
    }
    let found = dead_letters::list(&*state.store, state.decided().await?, &asked.wanted).await?;
    let shown = found.letters.iter().filter(|letter| letter.cursor <= newest);
    let positions: Vec<Position> = shown.map(|letter| letter.position.clone()).collect();
    let who = visitor.name.as_deref().unwrap_or("operator");
    let note = (!opens).then_some(note.trim());
    state.dismissals.decide(&state.journal, &positions, note, who).await?;
    asked.wanted.positions.clear();
    let back = asked.page(&frame.links).with("decided", &positions.len().to_string());
    Ok(Redirect::to(back.as_str()).into_response())
}
