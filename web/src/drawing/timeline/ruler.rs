//! The marks of the axis, and what stands at them: a label that would run into another is moved aside, or left out.

use super::TickMark;
use crate::drawing::label;
use crate::drawing::scale::{Scale, Share, Shortened};

/// The size of the axis' letters, in pixels.
const SIZE: f64 = 11.0;

/// What stays free between two labels, in pixels.
const APART: f64 = 8.0;

/// How a shortened stretch is labelled.
pub fn shortened_label(says: &str) -> String {
    format!("⟨ {says} ⟩")
}

/// The marks of a scale. The lengths of shortened stretches stand first: they are why the marks are not evenly spaced.
pub fn marks(scale: &Scale, shortened: &[Shortened]) -> Vec<TickMark> {
    let mut taken: Vec<(f64, f64)> = shortened
        .iter()
        .map(|short| reach(short.middle, "middle", label::width(&shortened_label(&short.says), SIZE, false)))
        .collect();
    let mut marks = Vec::new();
    for (x, tick) in scale.ticks() {
        let width = label::width(&tick.label, SIZE, false);
        let sides: &[&str] = if tick.at == 0 { &["start"] } else { &["middle", "start", "end"] };
        let free = sides.iter().find(|side| {
            let (from, to) = reach(x, side, width);
            let is_inside = to <= Share(100.0).px();
            is_inside && taken.iter().all(|(start, end)| to + APART <= *start || end + APART <= from)
        });
        // The line stays: it is where it is, also without a word.
        let (anchor, label) = match free {
            Some(side) => {
                taken.push(reach(x, side, width));
                (*side, tick.label)
            }
            None => ("middle", String::new()),
        };
        marks.push(TickMark { x, label, anchor });
    }
    marks
}

/// From where to where a label stands, in pixels.
fn reach(x: Share, anchor: &str, width: f64) -> (f64, f64) {
    let from = match anchor {
        "start" => x.px(),
        "end" => x.px() - width,
        _ => x.px() - width / 2.0,
    };
    (from, from + width)
}

#[cfg(test)]
mod tests {
    use store::Timestamp;

    use super::*;

    #[test]
    fn no_label_of_the_axis_runs_into_another() {
        let from = Timestamp::from_nanos(0);
        let at = |millis: i64| from.plus(std::time::Duration::from_millis(millis.unsigned_abs()));
        // Much work within 200 ms, a long silence, then some more.
        for silence_ms in [2_000, 107_000, 86_400_000] {
            let busy = [(at(0), at(200)), (at(silence_ms), at(silence_ms + 335))];
            let scale = Scale::over(from, at(silence_ms + 335), &busy);
            let shortened = scale.shortened();
            let mut labels: Vec<(f64, f64)> = marks(&scale, &shortened)
                .iter()
                .filter(|mark| !mark.label.is_empty())
                .map(|mark| reach(mark.x, mark.anchor, label::width(&mark.label, SIZE, false)))
                .chain(shortened.iter().map(|short| {
                    reach(short.middle, "middle", label::width(&shortened_label(&short.says), SIZE, false))
                }))
                .collect();
            assert!(labels.len() >= 2, "{silence_ms}");
            labels.sort_by(|one, other| one.0.total_cmp(&other.0));
            for pair in labels.windows(2) {
                assert!(pair[0].1 < pair[1].0, "{silence_ms}: {labels:?}");
            }
        }
    }
}
