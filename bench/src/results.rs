//! Results as a table, as JSON and as a picture.

use std::fmt::Write as _;

use crate::Anything;
use crate::statistics::Spread;

/// A row: what was measured, of whom. The first is what nothing can be faster than, where there is such a thing.
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    figures: Vec<(String, Spread)>,
}

impl Row {
    /// Without figures yet.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Row {
        Row { name: name.into(), unit, figures: Vec::new() }
    }

    /// One more figure.
    pub(crate) fn add(&mut self, who: &str, spread: Spread) {
        self.figures.push((who.to_owned(), spread));
    }

    fn first(&self) -> f64 {
        self.figures.first().map_or(f64::NAN, |(_, spread)| spread.median)
    }

    fn largest(&self) -> f64 {
        self.figures.iter().map(|(_, spread)| spread.median).fold(0.0, f64::max)
    }
}

/// Prints rows: least, median and most of each figure, and its median in units of the row's first.
pub(crate) fn print(rows: &[Row]) {
    for row in rows {
        println!("\n{} ({})", row.name, row.unit);
        for (who, Spread { least, median, most }) in &row.figures {
            println!("  {who:36} {median:10.2}  ({least:.2} to {most:.2})  {:6.2}", median / row.first());
        }
    }
}

/// The rows for programs.
pub(crate) fn json(rows: &[Row]) -> Anything<String> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let figures: Vec<_> = row
                .figures
                .iter()
                .map(|(who, spread)| {
                    serde_json::json!({
                        "who": who, "least": spread.least, "median": spread.median, "most": spread.most,
                    })
                })
                .collect();
            serde_json::json!({ "row": row.name, "unit": row.unit, "figures": figures })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}

/// The rows as bars, each row in its own scale: SVG.
pub(crate) fn plot(rows: &[Row]) -> String {
    const WIDTH: f64 = 860.0;
    const BAR: f64 = 14.0;
    const GAP: f64 = 26.0;
    const TEXT: f64 = 300.0;
    let mut body = String::new();
    let mut y = 10.0;
    for row in rows {
        y += GAP;
        let _ = writeln!(
            body,
            "<text x=\"8\" y=\"{:.0}\" font-weight=\"bold\">{} ({})</text>",
            y - 6.0,
            row.name,
            row.unit
        );
        for (place, (who, spread)) in row.figures.iter().enumerate() {
            let length = (WIDTH - TEXT - 90.0) * spread.median / row.largest();
            let colour = if place == 0 && row.figures.len() > 1 { "#b0b0b0" } else { "#2f6f9f" };
            let _ = writeln!(
                body,
                "<text x=\"20\" y=\"{:.0}\">{who}</text>\
                 <rect x=\"{TEXT}\" y=\"{:.0}\" width=\"{length:.1}\" height=\"{:.0}\" fill=\"{colour}\"/>\
                 <text x=\"{:.0}\" y=\"{:.0}\">{:.2}</text>",
                y + BAR - 3.0,
                y + 1.0,
                BAR - 2.0,
                TEXT + length + 6.0,
                y + BAR - 3.0,
                spread.median
            );
            y += BAR;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{:.0}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n",
        y + GAP
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let mut row = Row::new("small", "ms");
        row.add("an empty process", Spread { least: 0.5, median: 1.0, most: 2.0 });
        row.add("qmail-remote", Spread { least: 3.0, median: 4.0, most: 9.0 });
        row
    }

    #[test]
    fn the_first_figure_is_the_measure_and_the_largest_the_scale() {
        assert_eq!((row().first(), row().largest()), (1.0, 4.0));
    }

    #[test]
    fn json_has_all_figures() {
        let json: serde_json::Value = serde_json::from_str(&json(&[row()]).unwrap()).unwrap();
        let figure = serde_json::json!({ "who": "qmail-remote", "least": 3.0, "median": 4.0, "most": 9.0 });
        assert_eq!(json[0]["row"], "small");
        assert_eq!(json[0]["unit"], "ms");
        assert_eq!(json[0]["figures"][1], figure);
    }

    #[test]
    fn a_bar_is_as_long_as_its_figure_beside_the_largest() {
        let plot = plot(&[row()]);
        assert!(plot.contains("width=\"470.0\"") && plot.contains("width=\"117.5\""), "{plot}");
        assert!(plot.starts_with("<svg ") && plot.ends_with("</svg>\n"));
    }
}
