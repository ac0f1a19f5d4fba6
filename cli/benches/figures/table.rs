//! The table: figure, floor, ratio, bar, met.

/// Rows in the order they were measured.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
}

impl Table {
    /// Adds a figure that is met when `ratio` is at most `bar`.
    pub(crate) fn row(&mut self, figure: &str, measured: String, floor: String, ratio: f64, bar: f64) {
        self.push(figure, measured, floor, ratio, format!("at most {bar}"), ratio <= bar);
    }

    /// Adds a figure that is met when `ratio` is at least `bar`.
    pub(crate) fn row_at_least(&mut self, figure: &str, measured: String, floor: String, ratio: f64, bar: f64) {
        self.push(figure, measured, floor, ratio, format!("at least {bar}"), ratio >= bar);
    }

    fn push(&mut self, figure: &str, measured: String, floor: String, ratio: f64, bar: String, met: bool) {
        let met = if met { "yes" } else { "NO" }.to_string();
        self.rows.push([format!("{figure}: {measured}"), floor, format!("{ratio:.2}"), bar, met]);
    }

    /// Prints the table as Markdown.
    pub(crate) fn print(&self) {
        println!("| figure | floor | ratio | bar | met |\n|---|---|---|---|---|");
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
    }
}
