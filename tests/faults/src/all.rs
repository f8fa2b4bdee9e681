//! Every fault test in turn, each in a process of its own: one that fails or panics ends no other, and none has memory or tasks
//! of the one before it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use fangshi_harness::Figures;

/// Runs the tests of these names with these arguments. Figures come last, each name once.
pub fn run(names: &[String], arguments: &[String], figures: &mut Figures) -> Result<()> {
    let mut gathered = Gathered::default();
    let mut failed = Vec::new();
    for name in names {
        println!("{name}:");
        if let Err(error) = one(name, arguments, &mut gathered) {
            println!("{name} FAILED: {error:#}");
            failed.push(name.as_str());
        }
    }
    gathered.tell(figures);
    figures.add("fault_tests", names.len(), "tests");
    figures.add("fault_tests_failed", failed.len(), "tests");
    ensure!(failed.is_empty(), "{} of {} fault tests failed: {}", failed.len(), names.len(), failed.join(", "));
    Ok(())
}

fn one(name: &str, arguments: &[String], gathered: &mut Gathered) -> Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(name)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the test")?;
    let mut taken = Ok(());
    // To its end, whatever it says: a test whose output nobody takes would wait for ever.
    for line in BufReader::new(child.stdout.take().context("no output")?).lines().map_while(Result::ok) {
        match line.strip_prefix("figure ") {
            Some(figure) => {
                println!("{name}: {figure}");
                taken = taken.and(gathered.take(figure));
            }
            None => println!("{line}"),
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "it ended with {status}");
    taken
}

/// One figure of all tests that print it.
struct Figure {
    name: String,
    value: String,
    unit: String,
    shared: bool,
}

/// Figures of all tests, each name once.
#[derive(Default)]
struct Gathered(Vec<Figure>);

impl Gathered {
    /// Takes `NAME VALUE UNIT`. What two tests print must be a count; the sum counts then.
    fn take(&mut self, figure: &str) -> Result<()> {
        let [name, value, unit] = figure.split(' ').collect::<Vec<_>>()[..] else { bail!("no figure: {figure}") };
        match self.0.iter_mut().find(|known| known.name == name) {
            None => {
                let [name, value, unit] = [name, value, unit].map(str::to_owned);
                self.0.push(Figure { name, value, unit, shared: false });
            }
            Some(known) => {
                let sum = (known.value.parse::<i64>().ok()).zip(value.parse::<i64>().ok()).map(|(one, two)| one + two);
                let sum = sum.filter(|_| known.unit == unit);
                known.value =
                    sum.with_context(|| format!("{name} is a figure of two tests, and no count"))?.to_string();
                known.shared = true;
            }
        }
        Ok(())
    }

    /// Those of one test first, then the sums.
    fn tell(&self, figures: &mut Figures) {
        for shared in [false, true] {
            for figure in self.0.iter().filter(|figure| figure.shared == shared) {
                figures.add(&figure.name, &figure.value, &figure.unit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_tests_count_is_summed_and_comes_last() {
        let mut gathered = Gathered::default();
        for figure in
            ["acknowledged_lost 1 events", "kills 20 kills", "acknowledged_lost 2 events", "p99_ratio 1.25 ratio"]
        {
            gathered.take(figure).unwrap();
        }
        let mut figures = Figures::default();
        gathered.tell(&mut figures);
        let told = ["figure kills 20 kills", "figure p99_ratio 1.25 ratio", "figure acknowledged_lost 3 events"];
        assert_eq!(figures.lines(), told);
    }

    #[test]
    fn what_can_not_be_summed_is_no_figure_of_two_tests() {
        let mut gathered = Gathered::default();
        gathered.take("p99_ratio 1.25 ratio").unwrap();
        gathered.take("drained_after 3 s").unwrap();
        for figure in ["p99_ratio 1.25 ratio", "drained_after 3 ms", "drained_after 3", "drained_after"] {
            assert!(gathered.take(figure).is_err(), "{figure}");
        }
    }
}
