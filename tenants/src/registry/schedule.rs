//! A schedule: five fields of cron and a time zone, and the ticks that follow from them. Pure.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

/// Schedules of one installation.
pub const MOST_SCHEDULES: usize = 10;
/// Where nothing else is said.
pub const USUAL_ZONE: &str = "Asia/Shanghai";
/// Letters of a name, and of the five fields.
pub(super) const MOST_NAME: usize = 32;
pub(super) const MOST_CRON: usize = 100;

/// When the hook `on-schedule` of an installation is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Unique in the installation; the plugin is told it.
    pub name: String,
    /// Minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// In whose time the fields are read: a name of the tz database.
    pub time_zone: String,
}

/// A schedule as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// What was set.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// The next tick, unix seconds.
    pub next_at: i64,
    /// Ticks that were due and made no event: the host was down, the installation paused, or the tick before not done.
    pub skipped: i64,
}

/// A schedule that can be asked for its ticks.
pub struct Timetable {
    cron: Cron,
    zone: TimeZone,
    /// The hours have a `*`: it goes by what the clock shows. Else its times are fixed, and each is one tick a day.
    by_the_clock: bool,
}

impl Timetable {
    /// Reads a schedule.
    ///
    /// # Errors
    /// What is wrong and what is expected.
    pub fn of(schedule: &Schedule) -> Result<Timetable, String> {
        let Schedule { cron, time_zone, .. } = schedule;
        let five =
            "expected five fields (minute, hour, day of the month, month, day of the week) such as `30 9 * * 1-5`";
        // Nicknames, seconds and years are no part of the five.
        if cron.len() > MOST_CRON || cron.split_whitespace().count() != 5 {
            return Err(format!("`cron`: {five}"));
        }
        let by_the_clock = cron.split_whitespace().nth(1).is_some_and(|hours| hours.contains('*'));
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(cron).map_err(|error| format!("`cron` can't be read ({error}): {five}"))?;
        let zone = TimeZone::get(time_zone).ok().filter(|zone| zone.iana_name().is_some());
        let zone = zone.ok_or_else(|| {
            let given: String = time_zone.chars().take(64).collect();
            format!("`time_zone` `{given}` is not known: expected a name such as `{USUAL_ZONE}` or `America/New_York`")
        })?;
        Ok(Timetable { cron, zone, by_the_clock })
    }

    /// The first tick after a time, unix seconds; `None` if there is none. A fixed time that a change of the clocks leaves out
    /// comes at the end of the gap, and one that comes twice is a tick the first time. A schedule that goes by the clock has a
    /// tick whenever the clock shows one of its times.
    pub fn next_after(&self, unix_s: i64) -> Option<i64> {
        let after = Timestamp::from_second(unix_s).ok()?.to_zoned(self.zone.clone());
        if self.by_the_clock {
            return Some(self.cron.find_next_occurrence(&after, false).ok()?.timestamp().as_second());
        }
        // What the clock shows grows with its instant, so nothing up to here is left. In an hour that comes the second time
        // some of what follows was there before.
        let mut shown = after.datetime();
        loop {
            shown = self.cron.find_next_occurrence(&shown, false).ok()?;
            let tick = self.instant(shown)?.as_second();
            if tick > unix_s {
                return Some(tick);
            }
        }
    }

    /// When the clock shows a time: first, or if it never does, when it is past it.
    fn instant(&self, shown: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(shown).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(shown).ok(),
            // By the later offset the time lies before the change.
            AmbiguousOffset::Gap { after, .. } => {
                let before_it = after.to_timestamp(shown).ok()?;
                self.zone.following(before_it).next().map(|change| change.timestamp())
            }
        }
    }
}

/// Holds the schedules of an installation against what there may be. `now`: unix seconds.
///
/// # Errors
/// What is wrong, for the caller.
pub(super) fn check(schedules: &[Schedule], hooks: &[String], now: i64) -> Result<(), String> {
    if schedules.is_empty() {
        return Ok(());
    }
    if !hooks.iter().any(|hook| hook == "on-schedule") {
        return Err("can't be kept: the version does not export `on-schedule`; give an empty list".to_owned());
    }
    if schedules.len() > MOST_SCHEDULES {
        return Err(format!("are {}; an installation may have {MOST_SCHEDULES}", schedules.len()));
    }
    for (at, schedule) in schedules.iter().enumerate() {
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let name = &schedule.name;
        if name.is_empty() || name.len() > MOST_NAME || !name.chars().all(named) {
            return Err(format!("[{at}]: `name` must be 1 to {MOST_NAME} of a-z, 0-9, `-` and `_`"));
        }
        if schedules[..at].iter().any(|earlier| earlier.name == *name) {
            return Err(format!("[{at}]: the name `{name}` comes twice"));
        }
        let timetable = Timetable::of(schedule).map_err(|problem| format!("[{at}] `{name}`: {problem}"))?;
        if timetable.next_after(now).is_none() {
            return Err(format!("[{at}] `{name}`: `cron` names a day that never comes"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timetable(cron: &str, zone: &str) -> Timetable {
        Timetable::of(&Schedule { name: "x".into(), cron: cron.into(), time_zone: zone.into() }).unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    /// Ticks after a time, as they are in UTC.
    fn ticks(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let timetable = timetable(cron, zone);
        let mut now = at(after);
        (0..count)
            .map(|_| {
                now = timetable.next_after(now).unwrap();
                Timestamp::from_second(now).unwrap().to_string()
            })
            .collect()
    }

    #[test]
    fn the_fields_are_read_in_the_schedules_own_zone() {
        assert_eq!(
            ticks("30 9 * * 1-5", USUAL_ZONE, "2026-11-20T01:29:59Z", 3),
            ["2026-11-20T01:30:00Z", "2026-11-23T01:30:00Z", "2026-11-24T01:30:00Z"],
        );
        assert_eq!(ticks("*/20 * * * *", USUAL_ZONE, "2026-11-20T01:40:00Z", 1), ["2026-11-20T02:00:00Z"]);
        assert_eq!(ticks("0 0 1 JAN *", "UTC", "2026-11-20T00:00:00Z", 1), ["2027-01-01T00:00:00Z"]);
        // A day of the month or of the week: either will do, as cron has it.
        assert_eq!(
            ticks("0 0 13 * 5", "UTC", "2026-11-07T00:00:00Z", 2),
            ["2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"]
        );
    }

    #[test]
    fn a_change_of_the_clocks_loses_no_day_and_doubles_none() {
        // 2:30 does not exist on 8 March 2026 in New York; 1:30 comes twice on 1 November.
        let spring = ticks("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2);
        assert_eq!(spring, ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]);
        let autumn = ticks("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2);
        assert_eq!(autumn, ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
        // By the hour nothing is left out and nothing doubled either: they are hours of the sun.
        let hourly = ticks("0 * * * *", "America/New_York", "2026-11-01T04:30:00Z", 3);
        assert_eq!(hourly, ["2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"]);
    }

    #[test]
    fn each_of_several_fixed_times_is_one_tick_a_day_where_clocks_change() {
        let (york, berlin) = ("America/New_York", "Europe/Berlin");
        // 2:30 does not exist: it comes at the end of the gap.
        assert_eq!(
            ticks("30 1,2,3 * * *", york, "2026-03-08T05:00:00Z", 4),
            ["2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z", "2026-03-09T05:30:00Z"]
        );
        // 1:30 comes twice, and asked between the two it is over.
        assert_eq!(
            ticks("30 0-2 * * *", york, "2026-11-01T04:00:00Z", 4),
            ["2026-11-01T04:30:00Z", "2026-11-01T05:30:00Z", "2026-11-01T07:30:00Z", "2026-11-02T05:30:00Z"]
        );
        assert_eq!(ticks("30 0-2 * * *", york, "2026-11-01T06:10:00Z", 1), ["2026-11-01T07:30:00Z"]);
        // Two times in the gap are one moment, and one tick.
        assert_eq!(
            ticks("0,30 2 * * *", berlin, "2026-03-28T23:30:00Z", 3),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            ticks("*/30 2 * * *", berlin, "2026-10-24T23:00:00Z", 3),
            ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z"]
        );
    }

    #[test]
    fn every_fixed_time_of_a_year_is_a_tick_once() {
        for zone in ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", USUAL_ZONE] {
            let timetable = timetable("7,37 0,1,2,3,13 * * *", zone);
            let mut after = at("2026-01-01T00:00:00Z");
            let mut seen: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
            while let Some(tick) = timetable.next_after(after).filter(|tick| *tick < at("2027-01-01T00:00:00Z")) {
                let shown = Timestamp::from_second(tick).unwrap().to_zoned(timetable.zone.clone());
                *seen.entry(shown.date().to_string()).or_default() += 1;
                after = tick;
            }
            // The first and the last day may be cut; in a gap two of the ten may fall together.
            let days: Vec<usize> = seen.into_values().collect();
            let middle = &days[1..days.len() - 1];
            let short = middle.iter().filter(|count| **count == 9).count();
            assert!(short <= 1 && middle.iter().all(|count| *count == 10 || *count == 9), "{zone}: {days:?}");
        }
    }

    #[test]
    fn a_schedule_by_the_clock_has_a_tick_whenever_the_clock_shows_its_time() {
        assert_eq!(
            ticks("0 */2 * * *", "Europe/Berlin", "2026-10-24T21:00:00Z", 4),
            ["2026-10-24T22:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T03:00:00Z"]
        );
        assert_eq!(
            ticks("30 */2 * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", 2),
            ["2026-03-28T23:30:00Z", "2026-03-29T02:30:00Z"],
            "2:30 is left out"
        );
    }

    #[test]
    fn what_makes_no_schedule_is_told_with_what_is_expected() {
        let hooks = ["on-schedule".to_owned()];
        let one = |name: &str, cron: &str, zone: &str| Schedule {
            name: name.into(),
            cron: cron.into(),
            time_zone: zone.into(),
        };
        let problem = |schedules: &[Schedule]| check(schedules, &hooks, at("2026-11-20T00:00:00Z")).unwrap_err();
        for (schedule, part) in [
            (one("", "0 * * * *", "UTC"), "`name` must be"),
            (one("Nightly", "0 * * * *", "UTC"), "`name` must be"),
            (one("a", "0 * * *", "UTC"), "expected five fields"),
            (one("a", "0 0 * * * *", "UTC"), "expected five fields"),
            (one("a", "@daily", "UTC"), "expected five fields"),
            (one("a", "61 * * * *", "UTC"), "expected five fields"),
            (one("a", "0 * * * *", "China"), "`time_zone` `China` is not known"),
            (one("a", "0 * * * *", ""), "is not known"),
            (one("a", "0 0 30 2 *", "UTC"), "a day that never comes"),
        ] {
            let told = problem(std::slice::from_ref(&schedule));
            assert!(told.contains(part), "{schedule:?}: {told}");
        }
        let good = one("a", "0 * * * *", "UTC");
        assert!(problem(&[good.clone(), good.clone()]).contains("comes twice"));
        let many: Vec<Schedule> = (0..11).map(|n| one(&format!("n{n}"), "0 * * * *", "UTC")).collect();
        assert!(problem(&many).contains("an installation may have 10"));
        assert!(check(&[good], &["on-pay".to_owned()], 0).unwrap_err().contains("on-schedule"));
        assert!(check(&[], &[], 0).is_ok());
    }
}
