//! Figures: kept while a command runs, printed last, a line each.

/// Lines `figure NAME VALUE UNIT`.
#[derive(Default)]
pub struct Figures(Vec<String>);

impl Figures {
    /// Keeps one figure.
    pub fn add(&mut self, name: &str, value: impl std::fmt::Display, unit: &str) {
        self.0.push(format!("figure {name} {value} {unit}"));
    }

    /// A line each, as they are printed.
    pub fn lines(&self) -> &[String] {
        &self.0
    }

    /// Prints them all.
    #[allow(clippy::print_stdout)]
    pub fn print(&self) {
        for line in &self.0 {
            println!("{line}");
        }
    }
}

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
