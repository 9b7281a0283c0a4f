//! Which row of its lane each bar is in, and where the lanes are: work at the same time stands below each other.

use super::{AXIS, BAR_MIN, MIDDLE, ROW};
use crate::drawing::scale::Scale;
use crate::drawing::scene::Scene;

/// Work at the same time goes into as many rows as this, then into the last one over each other.
const ROWS_MAX: usize = 4;

/// Which row of its lane each bar is in, and where the lanes are.
pub struct Rows {
    bar_row: Vec<usize>,
    /// How many rows each lane has.
    pub lane_rows: Vec<usize>,
    /// Where each lane begins, in pixels.
    pub lane_y: Vec<f64>,
}

impl Rows {
    /// Of a scene's bars, in their order.
    pub fn of(scene: &Scene, scale: &Scale) -> Rows {
        let mut ends: Vec<Vec<f64>> = vec![Vec::new(); scene.lanes.len()];
        let mut bar_row = Vec::with_capacity(scene.bars.len());
        for bar in &scene.bars {
            let (from, to) = (scale.at(bar.from).px(), scale.at(bar.to).px());
            let lane = &mut ends[bar.lane];
            let free = lane.iter().position(|end| *end + 1.0 <= from);
            let row = free.unwrap_or(lane.len()).min(ROWS_MAX - 1);
            if row == lane.len() {
                lane.push(0.0);
            }
            lane[row] = lane[row].max(to.max(from + BAR_MIN));
            bar_row.push(row);
        }
        let lane_rows: Vec<usize> = ends.iter().map(|rows| rows.len().max(1)).collect();
        let mut y = AXIS;
        let mut lane_y = Vec::with_capacity(lane_rows.len());
        for rows in &lane_rows {
            lane_y.push(y);
            y += *rows as f64 * ROW;
        }
        Rows { bar_row, lane_rows, lane_y }
    }

    /// Where the middle of a bar is, in pixels.
    pub fn bar_middle(&self, scene: &Scene, bar: usize) -> f64 {
        self.lane_y[scene.bars[bar].lane] + self.bar_row[bar] as f64 * ROW + MIDDLE
    }
}
