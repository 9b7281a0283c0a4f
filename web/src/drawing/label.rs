//! Where text has room: beside its mark, without running into other text or, if it can be helped, across a line.

/// What is taken on one row of a drawing, in pixels.
#[derive(Debug, Default)]
pub struct Row {
    taken: Vec<(f64, f64)>,
    lines: Vec<f64>,
}

/// On which side of its mark a text stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Begins at the mark's beginning and goes on to the right.
    Right,
    /// Ends at the mark's end.
    Left,
}

/// The room left between two texts.
const GAP: f64 = 8.0;

/// The average width of a letter as a share of the type's size: of system fonts and Inter, a little more than needed.
const LETTER: f64 = 0.56;

/// The same for a font of fixed width.
const LETTER_MONO: f64 = 0.61;

/// How wide a text is, roughly: the server has no fonts, so it errs to the wide side.
pub fn width(text: &str, size: f64, mono: bool) -> f64 {
    let letter = if mono { LETTER_MONO } else { LETTER };
    text.chars().map(|of_text| if of_text as u32 > 0x2e80 { 1.0 } else { letter }).sum::<f64>() * size
}

impl Row {
    /// Notes that a line crosses this row here.
    pub fn cross(&mut self, x: f64) {
        self.lines.push(x);
    }

    /// Takes room for a text of this width at a mark that reaches from `start` to `end`, within 0 and `width_max`.
    /// Prefers a side that no line crosses; `None` where there is room on neither.
    pub fn place(&mut self, start: f64, end: f64, width: f64, width_max: f64) -> Option<Side> {
        let sides = [(Side::Right, start, start + width), (Side::Left, end - width, end)];
        let free: Vec<_> = sides
            .into_iter()
            .filter(|(_, from, to)| *from >= 0.0 && *to <= width_max)
            .filter(|(_, from, to)| self.taken.iter().all(|(left, right)| to + GAP <= *left || right + GAP <= *from))
            .collect();
        let crossed = |from: f64, to: f64| self.lines.iter().filter(|x| **x > from + 1.0 && **x < to - 1.0).count();
        let (side, from, to) = free.into_iter().min_by_key(|(_, from, to)| crossed(*from, *to))?;
        self.taken.push((from, to));
        Some(side)
    }

    /// Gives a text that was placed on this side more room, where there is some.
    pub fn widen(&mut self, side: Side, start: f64, end: f64, widths: (f64, f64), width_max: f64) -> bool {
        let reach = |width: f64| match side {
            Side::Right => (start, start + width),
            Side::Left => (end - width, end),
        };
        let (held, wanted) = (reach(widths.0), reach(widths.1));
        let Some(own) = self.taken.iter().position(|taken| *taken == held) else { return false };
        let others = self.taken.iter().enumerate().filter(|(index, _)| *index != own);
        let is_free =
            others.map(|(_, taken)| taken).all(|(left, right)| wanted.1 + GAP <= *left || right + GAP <= wanted.0);
        let fits = is_free && wanted.0 >= 0.0 && wanted.1 <= width_max;
        if fits {
            self.taken[own] = wanted;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_never_run_into_each_other_nor_out_of_the_drawing() {
        let mut row = Row::default();
        assert_eq!(row.place(100.0, 110.0, 80.0, 500.0), Some(Side::Right));
        assert_eq!(row.place(150.0, 160.0, 80.0, 500.0), None);
        assert_eq!(row.place(200.0, 210.0, 80.0, 500.0), Some(Side::Right));
        assert_eq!(row.place(480.0, 490.0, 80.0, 500.0), Some(Side::Left));
        assert_eq!(Row::default().place(10.0, 20.0, 800.0, 500.0), None);
    }

    #[test]
    fn a_text_stands_where_no_line_goes_through_it() {
        let mut row = Row::default();
        row.cross(130.0);
        assert_eq!(row.place(100.0, 110.0, 60.0, 500.0), Some(Side::Left));
        row.cross(280.0);
        assert_eq!(row.place(300.0, 310.0, 60.0, 500.0), Some(Side::Right));
    }

    #[test]
    fn a_text_is_widened_only_into_free_room() {
        let mut row = Row::default();
        assert_eq!(row.place(100.0, 110.0, 50.0, 500.0), Some(Side::Right));
        assert_eq!(row.place(200.0, 210.0, 50.0, 500.0), Some(Side::Right));
        assert!(!row.widen(Side::Right, 100.0, 110.0, (50.0, 95.0), 500.0));
        assert!(row.widen(Side::Right, 100.0, 110.0, (50.0, 90.0), 500.0));
        assert!(!row.widen(Side::Right, 200.0, 210.0, (50.0, 400.0), 500.0));
    }

    #[test]
    fn wide_letters_count_as_wide() {
        assert!(width("注文", 12.0, false) > width("ab", 12.0, false));
        assert!(width("ab", 12.0, true) > width("ab", 12.0, false));
    }
}
