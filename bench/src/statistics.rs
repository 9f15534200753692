//! Medians and spreads. Pure.

use std::time::Duration;

/// What a row of measurements comes to, in one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The smallest.
    pub(crate) least: f64,
    /// Half of them are no larger.
    pub(crate) median: f64,
    /// The largest.
    pub(crate) most: f64,
}

impl Spread {
    /// None: there are no measurements.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let middle = values.len().checked_div(2)?;
        Some(Spread { least: *values.first()?, median: *values.get(middle)?, most: *values.last()? })
    }

    /// The same in another unit.
    pub(crate) fn map(self, convert: impl Fn(f64) -> f64) -> Spread {
        let (a, b) = (convert(self.least), convert(self.most));
        Spread { least: a.min(b), median: convert(self.median), most: a.max(b) }
    }
}

/// Milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(spread.map(|value| 6.0 / value), Spread { least: 2.0, median: 3.0, most: 6.0 });
    }
}
