//! Where a tenant's passes are, and what comes next: steps over a [`Standing`], which is kept after every visit.
//!
//! The incremental pass lists what was updated since the last one; the full pass lists what was placed within so many
//! days. Both list at most 7 days at a time, page by page, and read every order listed; the incremental one goes before.

use fangshi_journal::{Pass, PassReport, Standing, Walk};

use crate::ahead;
use crate::config::{ReconcileConfig, beijing_day};
use crate::seams::{Listed, Span};

/// Which pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What was updated lately.
    Incremental,
    /// Everything.
    Full,
}

/// What a visit does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read the first order that is pending.
    Read(Which, String),
    /// List a page.
    List(Which, Span),
    /// The pass is at its end.
    End(Which),
}

/// Listed again by every incremental pass: clocks differ, and several changes of one second push `update_time` ahead.
const OVERLAP_S: i64 = 60;
/// The platform lists at most this at once.
const SPAN_S: i64 = 7 * 86_400;
const DAY_S: i64 = 86_400;
/// Orders that are kept to be read again at a time of their own.
const LATER: usize = 1_000;
/// Readings of one order before a pass goes on without it.
const TRIES: u32 = 3;
/// Listings of one page before the pass ends as refused: a quarter of an hour, by the waits between them.
const LIST_TRIES: u32 = 5;
/// The first of these waits, milliseconds; each of the next is twice as long.
const LIST_AGAIN_MS: i64 = 60_000;
/// No such wait is longer, whatever the platform wishes, milliseconds.
const LONGEST_WAIT_MS: i64 = 3_600_000;
/// A list that has more and shows no way on, where a pass's outcome is told.
const NO_WAY_ON: &str = "cursor";
/// When an order that was given up is read again, milliseconds.
const GIVEN_UP_MS: i64 = 3_600_000;
/// No order is noted for later than this, milliseconds.
const LATEST_MS: i64 = 2 * GIVEN_UP_MS;
const DAY_MS: i64 = DAY_S * 1_000;
/// No quota of the platform is used up for longer than this, milliseconds: a day, and what clocks differ.
const LONGEST_PAUSE_MS: i64 = DAY_MS + 3_600_000;

impl Which {
    /// Its name in metrics and pages.
    pub fn name(self) -> &'static str {
        match self {
            Which::Incremental => "incremental",
            Which::Full => "full",
        }
    }

    /// Its part of a standing.
    pub fn of(self, standing: &mut Standing) -> &mut Pass {
        match self {
            Which::Incremental => &mut standing.incremental,
            Which::Full => &mut standing.full,
        }
    }
}

/// The standing of a tenant that is met for the first time at `now` (unix milliseconds). The first full pass is due at
/// once, to know the orders; incremental passes of many tenants are spread over the interval by `spread`.
pub fn first(now: i64, spread: u64, config: &ReconcileConfig) -> Standing {
    let interval = config.interval.as_millis().max(1) as u64;
    let since_s = now.div_euclid(1_000);
    let incremental =
        Pass { due_at: now.saturating_add((spread % interval) as i64), done_until_s: since_s, ..Pass::default() };
    Standing { since_s, incremental, full: Pass { due_at: now, ..Pass::default() }, ..Standing::default() }
}

/// Whether nothing may be asked yet. A pause that ends later than any can was noted by a clock that was set back since.
pub fn is_paused(standing: &Standing, now: i64) -> bool {
    standing.paused_until > now && standing.paused_until <= now.saturating_add(LONGEST_PAUSE_MS)
}

/// Whether a pass is due, that comes again after `longest` milliseconds at most: one that is due later than that was noted
/// by a clock that was set back since.
fn is_due(pass: &Pass, longest: i64, now: i64) -> bool {
    pass.due_at <= now || pass.due_at > now.saturating_add(longest)
}

/// Begins the passes that are due; tells which began.
pub fn begin(standing: &mut Standing, now: i64, config: &ReconcileConfig) -> Vec<Which> {
    let mut begun = Vec::new();
    let grace_s = config.grace.as_secs() as i64;
    let until_s = now.div_euclid(1_000) - grace_s;
    let furthest = until_s - i64::from(config.full_days) * DAY_S;
    // Orders that are placed now are not from before the tenant's first visit, whatever the clock was then.
    standing.since_s = standing.since_s.min(now.div_euclid(1_000));
    for which in [Which::Incremental, Which::Full] {
        let pass = which.of(standing);
        let longest = match which {
            Which::Incremental => config.interval.as_millis() as i64,
            Which::Full => DAY_MS,
        };
        if pass.walk.is_some() || !is_due(pass, longest, now) {
            continue;
        }
        let from_s = match which {
            // Looked at until a time that has yet to come: that clock was wrong, and nobody knows since when.
            Which::Incremental if pass.done_until_s > until_s + grace_s + OVERLAP_S => furthest,
            Which::Incremental => (pass.done_until_s - OVERLAP_S).max(furthest).min(until_s),
            Which::Full => furthest,
        };
        pass.walk = Some(Walk { begun_at: now, from_s, until_s, ..Walk::default() });
        begun.push(which);
    }
    begun
}

/// What comes next at `now` (unix milliseconds); none if no pass is under way, or each waits. While one waits, the other has
/// its turn.
pub fn next(standing: &Standing, now: i64) -> Option<Step> {
    [(Which::Incremental, &standing.incremental), (Which::Full, &standing.full)].into_iter().find_map(
        |(which, pass)| {
            let walk = pass.walk.as_ref().filter(|walk| !waits(walk, now))?;
            Some(match walk.pending.first() {
                Some(order_id) => Step::Read(which, order_id.clone()),
                None if walk.listed_all => Step::End(which),
                None => {
                    let span = Span {
                        created: which == Which::Full,
                        from_s: walk.from_s,
                        until_s: span_end(walk),
                        next_key: walk.next_key.clone(),
                    };
                    Step::List(which, span)
                }
            })
        },
    )
}

fn span_end(walk: &Walk) -> i64 {
    walk.until_s.min(walk.from_s + SPAN_S)
}

/// Whether no page is asked for yet. A wait that ends later than any can was noted by a clock that was set back since.
fn waits(walk: &Walk, now: i64) -> bool {
    walk.waits_until > now && walk.waits_until <= now.saturating_add(LONGEST_WAIT_MS)
}

/// Takes in a page. One that has more and shows no way on cuts its span off.
pub fn listed(walk: &mut Walk, page: Listed) {
    walk.listed = walk.listed.saturating_add(page.order_ids.len() as u32);
    (walk.list_tries, walk.waits_until) = (0, 0);
    for id in page.order_ids {
        if !walk.pending.contains(&id) {
            walk.pending.push(id);
        }
    }
    match page.has_more {
        true if page.next_key.is_empty() || page.next_key == walk.next_key => cut(walk, NO_WAY_ON),
        true => walk.next_key = page.next_key,
        false => {
            walk.refusals = 0;
            next_span(walk);
        }
    }
}

/// The page behind a cursor was refused (`class`). The platform may not know its cursor any more: the span is listed from its
/// begin, once. Refused again it is cut off; so is every later one of the pass, until one was listed to its end.
pub fn cursor_refused(walk: &mut Walk, class: &str) {
    walk.refusals += 1;
    match walk.refusals {
        1 => walk.next_key = String::new(),
        _ => cut(walk, class),
    }
}

/// A page could not be listed now; the platform wishes a wait of `wish_ms`. Whether it is asked for again: after the last try
/// it is not.
pub fn list_tried(walk: &mut Walk, wish_ms: i64, now: i64) -> bool {
    walk.list_tries += 1;
    let wait = LIST_AGAIN_MS << (walk.list_tries - 1).min(LIST_TRIES);
    walk.waits_until = now.saturating_add(wait.max(wish_ms).min(LONGEST_WAIT_MS));
    walk.list_tries < LIST_TRIES
}

/// Goes on behind a span that can't be listed to its end: what the other spans have is told all the same.
fn cut(walk: &mut Walk, why: &str) {
    walk.cut.get_or_insert_with(|| why.to_owned());
    next_span(walk);
}

fn next_span(walk: &mut Walk) {
    walk.next_key = String::new();
    let end = span_end(walk);
    walk.listed_all = end >= walk.until_s;
    walk.from_s = end;
}

/// The first pending order could not be read now. After the last try it is given up by this pass, which goes on with the
/// others, and comes again in a later one.
pub fn tried(standing: &mut Standing, which: Which, now: i64) {
    let Some(walk) = &mut which.of(standing).walk else { return };
    walk.tries += 1;
    if walk.tries < TRIES {
        return;
    }
    let order_id = walk.pending.first().cloned();
    read(walk, None);
    if let Some(order_id) = order_id {
        keep_for_later(standing, &order_id, now.saturating_add(GIVEN_UP_MS));
    }
}

/// An order that was read, or could not be.
pub fn read(walk: &mut Walk, made: Option<u32>) {
    walk.tries = 0;
    if !walk.pending.is_empty() {
        walk.pending.remove(0);
    }
    match made {
        Some(made) => {
            walk.read += 1;
            walk.made += made;
        }
        None => walk.failed += 1,
    }
}

/// Ends a pass that was walked to its end, or that the platform refuses (`refused`: the class of its fault). One that was
/// cut off somewhere is told of as refused, and its range is listed again.
/// `spread`: the tenant's own number, see [`first`].
pub fn end(
    standing: &mut Standing,
    which: Which,
    refused: Option<&str>,
    now: i64,
    spread: u64,
    config: &ReconcileConfig,
) {
    let pass = which.of(standing);
    let Some(walk) = pass.walk.take() else { return };
    let (whole, outcome) = match (refused, &walk.cut) {
        (None, None) => (true, "done".to_owned()),
        (Some(class), _) => (false, class.to_owned()),
        (None, Some(why)) => (false, why.clone()),
    };
    if whole && which == Which::Incremental {
        pass.done_until_s = ahead::looked_until(&walk, pass.done_until_s);
    }
    let interval = now.saturating_add(config.interval.as_millis() as i64);
    let tomorrow = config.full_pass_at.after(now, spread);
    pass.due_at = match (which, refused) {
        (Which::Incremental, _) => interval,
        // Cut off or not, it went through all days.
        (Which::Full, None) => tomorrow,
        (Which::Full, Some(_)) => interval.min(tomorrow),
    };
    pass.last = Some(PassReport {
        begun_at: walk.begun_at,
        ended_at: now,
        outcome,
        until_s: walk.until_s,
        listed: walk.listed,
        read: walk.read,
        made: walk.made,
        failed: walk.failed,
    });
}

/// Notes an order to be read again then (unix milliseconds), whether it is listed again or not. Beyond a bound the full pass has it.
pub fn keep_for_later(standing: &mut Standing, order_id: &str, at: i64) {
    let known = standing.later.iter().any(|(_, id)| id == order_id);
    if !known && standing.later.len() < LATER {
        standing.later.push((at, order_id.to_owned()));
    }
}

/// Takes the orders whose time has come, and those whose time is further off than any is noted for.
pub fn take_later(standing: &mut Standing, now: i64) -> Vec<String> {
    let (due, wait) = std::mem::take(&mut standing.later)
        .into_iter()
        .partition(|(at, _)| !(now + 1..=now.saturating_add(LATEST_MS)).contains(at));
    standing.later = wait;
    let due: Vec<(i64, String)> = due;
    due.into_iter().map(|(_, id)| id).collect()
}

/// Counts a call against the day's budget, or tells when there will be one again if the budget is used up, unix
/// milliseconds. The full pass leaves a quarter for the incremental one.
pub fn take_of_day(standing: &mut Standing, which: Which, now: i64, calls_per_day: u32) -> Result<(), i64> {
    let (day, midnight) = beijing_day(now);
    if standing.day != day {
        (standing.day, standing.calls) = (day, 0);
    }
    let most = match which {
        Which::Incremental => calls_per_day,
        Which::Full => calls_per_day - calls_per_day / 4,
    };
    if standing.calls < most {
        standing.calls += 1;
        return Ok(());
    }
    match which {
        Which::Incremental => Err(midnight),
        // The incremental one need not wait with it.
        Which::Full => Err(midnight.min(goes_on_at(&standing.incremental))),
    }
}

/// When there will be something to do if nothing is now, unix milliseconds.
pub fn due_at(standing: &Standing) -> i64 {
    goes_on_at(&standing.incremental).min(goes_on_at(&standing.full))
}

fn goes_on_at(pass: &Pass) -> i64 {
    pass.walk.as_ref().map_or(pass.due_at, |walk| walk.waits_until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ahead::AHEAD_S;

    const NOW: i64 = 1_764_642_403_000;

    fn page(ids: &[&str], next_key: &str) -> Listed {
        let order_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Listed { order_ids, next_key: next_key.to_owned(), has_more: !next_key.is_empty() }
    }

    /// Walks to the end; gives every span that was listed.
    fn spans(standing: &mut Standing, now: i64, config: &ReconcileConfig) -> Vec<Span> {
        let mut spans = Vec::new();
        while let Some(step) = next(standing, now) {
            match step {
                Step::List(which, span) => {
                    spans.push(span);
                    listed(which.of(standing).walk.as_mut().unwrap(), page(&[], ""));
                }
                Step::Read(which, _) => read(which.of(standing).walk.as_mut().unwrap(), Some(0)),
                Step::End(which) => end(standing, which, None, now, 0, config),
            }
        }
        spans
    }

    #[test]
    fn passes_cover_their_time_without_a_gap_and_no_span_is_too_long() {
        let config = ReconcileConfig::default();
        let mut standing = first(NOW, 0, &config);
        let mut now = NOW;
        let mut covered = standing.since_s;
        // The last visit comes after a month without any.
        for wait in [0, 900_000, 901_000, 40 * 86_400_000] {
            now += wait;
            begin(&mut standing, now, &config);
            let spans = spans(&mut standing, now, &config);
            let updated: Vec<&Span> = spans.iter().filter(|span| !span.created).collect();
            let end = now / 1_000 - 120;
            assert!(updated[0].from_s <= covered.max(end - 30 * 86_400), "{updated:?}");
            assert_eq!(updated.last().unwrap().until_s, end);
            assert!(updated.windows(2).all(|pair| pair[1].from_s == pair[0].until_s));
            assert!(spans.iter().all(|span| (0..=SPAN_S).contains(&(span.until_s - span.from_s))));
            covered = covered.max(end);
            assert!(next(&standing, now).is_none() && due_at(&standing) > now);
        }
        assert_eq!(standing.incremental.last.as_ref().unwrap().outcome, "done");
    }

    #[test]
    fn a_full_pass_lists_all_days_by_placing_and_comes_again_tomorrow() {
        let config = ReconcileConfig::default();
        let mut standing = first(NOW, 5_000, &config);
        assert_eq!(begin(&mut standing, NOW, &config), [Which::Full], "the incremental one is spread");
        let spans = spans(&mut standing, NOW, &config);
        assert!(spans.iter().all(|span| span.created));
        assert_eq!(spans.len(), 5);
        assert_eq!(spans[4].until_s - spans[0].from_s, 30 * 86_400);
        assert_eq!(standing.full.due_at, config.full_pass_at.after(NOW, 0));
    }

    #[test]
    fn pages_follow_their_cursor_and_orders_are_read_before_the_next() {
        let config = ReconcileConfig::default();
        let mut standing = first(NOW, 0, &config);
        standing.full.due_at = NOW + DAY_MS;
        begin(&mut standing, NOW, &config);
        let walk = |standing: &mut Standing| standing.incremental.walk.clone().unwrap();
        listed(standing.incremental.walk.as_mut().unwrap(), page(&["1", "2", "1"], "k"));
        assert_eq!(walk(&mut standing).pending, ["1", "2"]);
        assert_eq!(next(&standing, NOW), Some(Step::Read(Which::Incremental, "1".into())));
        read(standing.incremental.walk.as_mut().unwrap(), Some(2));
        // A restart goes on here.
        let kept = serde_json::to_value(&standing).unwrap();
        let mut standing: Standing = serde_json::from_value(kept).unwrap();
        read(standing.incremental.walk.as_mut().unwrap(), None);
        let Some(Step::List(_, span)) = next(&standing, NOW) else { panic!() };
        assert_eq!(span.next_key, "k");
        // A cursor that leads nowhere does not hold the pass up, and is no end.
        listed(standing.incremental.walk.as_mut().unwrap(), page(&["3"], "k"));
        read(standing.incremental.walk.as_mut().unwrap(), Some(0));
        assert_eq!(next(&standing, NOW), Some(Step::End(Which::Incremental)));
        end(&mut standing, Which::Incremental, None, NOW, 0, &config);
        let last = standing.incremental.last.clone().unwrap();
        assert_eq!((last.listed, last.read, last.made, last.failed), (4, 2, 2, 1));
        assert_eq!(last.outcome, "cursor");
        assert_eq!(standing.incremental.done_until_s, NOW / 1_000, "not all was listed");
        begin(&mut standing, NOW + 900_000, &config);
        end(&mut standing, Which::Incremental, Some("permission"), NOW, 0, &config);
        assert_eq!(standing.incremental.last.as_ref().unwrap().outcome, "permission");
        assert_eq!(standing.incremental.done_until_s, NOW / 1_000, "a refused pass covered nothing");
    }

    #[test]
    fn a_span_whose_cursor_is_refused_is_listed_once_more_and_then_cut_off() {
        let config = ReconcileConfig::default();
        let mut standing = first(NOW, 0, &config);
        begin(&mut standing, NOW, &config);
        standing.incremental.walk = None;
        let mut begins = Vec::new();
        while let Some(step) = next(&standing, NOW) {
            let walk = standing.full.walk.as_mut().unwrap();
            match step {
                // The first two spans alone have a second page, which is refused.
                Step::List(_, span) if span.next_key.is_empty() => {
                    begins.push(span.from_s);
                    let first = begins.iter().filter(|from| **from != span.from_s).count() < 3;
                    listed(walk, page(&["1"], if first { "k" } else { "" }));
                }
                Step::List(..) => cursor_refused(walk, "invalid"),
                Step::Read(..) => read(walk, Some(0)),
                Step::End(which) => end(&mut standing, which, None, NOW, 0, &config),
            }
        }
        let spans: Vec<i64> = begins.iter().map(|from| (from - begins[0]) / SPAN_S).collect();
        assert_eq!(spans, [0, 0, 1, 2, 3, 4], "once more in a pass, and every span was listed");
        assert_eq!(standing.full.last.as_ref().unwrap().outcome, "invalid");
        assert_eq!(standing.full.due_at, config.full_pass_at.after(NOW, 0), "it comes again tomorrow");
    }

    #[test]
    fn a_pass_whose_page_has_to_wait_leaves_the_turn_to_the_other() {
        let config = ReconcileConfig::default();
        let mut standing = first(NOW, 0, &config);
        begin(&mut standing, NOW, &config);
        let walk = |standing: &mut Standing| standing.incremental.walk.clone().unwrap();
        let is_incremental = |step: Option<Step>| matches!(step, Some(Step::List(Which::Incremental, _)));
        assert!(is_incremental(next(&standing, NOW)));
        let (mut now, mut waits) = (NOW, Vec::new());
        while list_tried(standing.incremental.walk.as_mut().unwrap(), 0, now) {
            let until = walk(&mut standing).waits_until;
            assert!(matches!(next(&standing, now), Some(Step::List(Which::Full, _))));
            assert!(matches!(next(&standing, until - 1), Some(Step::List(Which::Full, _))));
            assert!(is_incremental(next(&standing, until)));
            waits.push((until - now) / 60_000);
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8]);
        standing.full = Pass { due_at: i64::MAX, ..Pass::default() };
        assert_eq!(due_at(&standing), walk(&mut standing).waits_until);
        listed(standing.incremental.walk.as_mut().unwrap(), page(&[], "k"));
        assert!(is_incremental(next(&standing, now)), "what was listed ends the wait");
        // The platform's wish counts, within bounds; a wait that no clock can have noted yet does not.
        assert!(list_tried(standing.incremental.walk.as_mut().unwrap(), 600_000, now));
        assert_eq!(walk(&mut standing).waits_until, now + 600_000);
        assert!(list_tried(standing.incremental.walk.as_mut().unwrap(), i64::MAX, now));
        assert_eq!((next(&standing, now), walk(&mut standing).waits_until), (None, now + LONGEST_WAIT_MS));
        assert!(is_incremental(next(&standing, now - 1)));
    }

    #[test]
    fn orders_for_later_come_once_at_their_time() {
        let mut standing = Standing::default();
        for at in [5, 9, 5] {
            keep_for_later(&mut standing, &at.to_string(), at);
        }
        assert_eq!(take_later(&mut standing, 4), Vec::<String>::new());
        assert_eq!(take_later(&mut standing, 5), ["5"]);
        assert_eq!(take_later(&mut standing, 9), ["9"]);
        assert!(standing.later.is_empty());
    }

    #[test]
    fn a_clock_that_jumped_ahead_and_was_set_back_costs_nothing_but_a_longer_list() {
        let config = ReconcileConfig::default();
        let mut standing = first(NOW, 0, &config);
        // The clock is a month ahead for one visit.
        let ahead = NOW + 30 * DAY_MS;
        begin(&mut standing, ahead, &config);
        spans(&mut standing, ahead, &config);
        (standing.since_s, standing.paused_until) = (ahead / 1_000, ahead + DAY_MS);
        keep_for_later(&mut standing, "1", ahead);
        let now = NOW + 60_000;
        assert!(is_paused(&standing, ahead) && !is_paused(&standing, now));
        assert_eq!(begin(&mut standing, now, &config), [Which::Incremental, Which::Full]);
        assert_eq!(standing.since_s, now / 1_000);
        assert_eq!(take_later(&mut standing, now), ["1"]);
        let spans = spans(&mut standing, now, &config);
        let end_s = now / 1_000 - 120;
        let updated: Vec<&Span> = spans.iter().filter(|span| !span.created).collect();
        assert_eq!(updated[0].from_s, end_s - 30 * DAY_S, "nobody knows since when the clock was wrong");
        assert_eq!(standing.incremental.done_until_s, now / 1_000 - AHEAD_S, "nor whether it is right now");
        assert!(due_at(&standing) <= now + 900_000);
    }

    #[test]
    fn a_day_has_its_calls_and_the_full_pass_leaves_some() {
        let mut standing = Standing::default();
        standing.incremental.due_at = NOW + 5;
        let take = |standing: &mut Standing, which, now| take_of_day(standing, which, now, 8);
        let (_, midnight) = beijing_day(NOW);
        assert_eq!((0..9).filter(|_| take(&mut standing, Which::Full, NOW).is_ok()).count(), 6);
        assert_eq!(take(&mut standing, Which::Full, NOW), Err(NOW + 5), "the incremental pass goes on");
        assert_eq!((0..9).filter(|_| take(&mut standing, Which::Incremental, NOW).is_ok()).count(), 2);
        assert_eq!(take(&mut standing, Which::Incremental, NOW), Err(midnight));
        assert_eq!(take(&mut standing, Which::Full, midnight), Ok(()), "and goes on the next day");
    }
}
