//! Is anything wrong right now, and where do I click?

use askama::Template;
use axum::response::Response;

use crate::page::{Frame, Problem, render};

#[derive(Template)]
#[template(path = "page/overview.html")]
struct Overview {
    frame: Frame,
}

/// `GET /`.
pub async fn show(frame: Frame) -> Result<Response, Problem> {
    Ok(render(&Overview { frame }))
}
