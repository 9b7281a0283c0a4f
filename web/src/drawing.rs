//! Drawings, made here as geometry and written by templates as SVG: no script, no style attribute.
//!
//! Across, places are shares of the drawing's width in per cent, so that a drawing fills its room while its type keeps its size;
//! down, they are pixels. Below a least width a drawing scrolls.

pub mod axis; // round ticks
pub mod budget; // where the time of a flow went
pub mod course; // a course over time, with axes and marks
pub mod label; // where text has room
pub mod scale; // from times to places across
pub mod scene; // what is to be drawn of a flow: lanes, bars, dots, lines
pub mod spark; // how many over time, in a small space
pub mod timeline; // a scene as geometry
