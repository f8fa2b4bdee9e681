//! The decisions under random input. Every failure names its seed; `FANGSHI_SEED=n` repeats it.
#![allow(
    unused_braces,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints its seeds"
)]
#![allow(clippy::await_holding_lock, reason = "locks of the test's own ledgers, which nobody else takes meanwhile")]
#![allow(clippy::disallowed_methods, reason = "seeds come from the real clock")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use fangshi_journal::{
    Digest, EffectState, EventSeq, InstallationId, LaneKey, OpenRun, RunId, RunState, Source, Subscription, TenantId,
    UnplannedEvent,
};
use fangshi_lanes::decide::choose::{Step, choose};
use fangshi_lanes::decide::echo::{Cause, Question, SKEW_S, WINDOW_S, explain};
use fangshi_lanes::decide::outside::Outside;
use fangshi_lanes::decide::plan::{UnknownSubscriber, plan};
use fangshi_lanes::decide::queue::Queue;
use fangshi_lanes::decide::retry::{Retry, Schedule, Tried};
use fangshi_lanes::{Standing, Subscriber};

/// A small deterministic generator (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn yes(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn spin(&mut self) -> f64 {
        self.below(2_001) as f64 / 1_000.0 - 1.0
    }
}

/// Runs a test for many seeds: the given one alone, or `count` from a base that is printed.
fn for_seeds(count: u64, test: impl Fn(&mut Dice) + std::panic::RefUnwindSafe) {
    let given: Option<u64> = std::env::var("FANGSHI_SEED").ok().and_then(|seed| seed.parse().ok());
    let base: u64 = rand::random();
    let seeds: Vec<u64> = given.map_or_else(|| (0..count).map(|i| base.wrapping_add(i)).collect(), |seed| vec![seed]);
    println!("seeds from {} on, {} of them", seeds[0], seeds.len());
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| test(&mut Dice(seed))) {
            println!("failed with FANGSHI_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn the_schedule_is_the_agreed_one() {
    let schedule = Schedule::default();
    let mut now = 0;
    let mut waits = Vec::new();
    for attempt in 1.. {
        match schedule.next(Tried { attempt, first_at: 0, started_at: now }, now, None, 0.0) {
            Retry::At(at) => {
                waits.push((at - now) / 1_000);
                now = at;
            }
            Retry::Park => break,
        }
    }
    assert_eq!(waits, [5, 30, 120, 600, 1_800, 3_600, 3_600, 3_600, 3_600, 3_600, 3_600]);
}

#[test]
fn a_run_that_always_fails_is_parked_after_at_most_12_attempts_and_8_hours() {
    for_seeds(2_000, |dice| {
        let schedule = Schedule::default();
        let first_at = dice.below(1 << 40) as i64;
        let mut now = first_at;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let started_at = now;
            let tried = Tried { attempt, first_at, started_at };
            now += dice.below(60_000) as i64;
            let last = schedule.is_last(tried);
            match schedule.next(tried, now, None, dice.spin()) {
                Retry::Park => {
                    assert!(last, "parked without having been told that it was the last attempt");
                    break;
                }
                Retry::At(at) => {
                    assert!(!last, "told that it was the last attempt, and tried again");
                    let wait = schedule.waits[(attempt as usize - 1).min(5)].as_millis() as f64;
                    let waited = (at - now) as f64;
                    let at_the_end = at == first_at + 8 * 3_600_000;
                    assert!(at >= now && (at_the_end || waited >= wait * 0.8 - 1.0) && waited <= wait * 1.2 + 1.0);
                    now = at;
                }
            }
            assert!(attempt < 12);
        }
        assert!(attempt <= 12);
        assert!(now - first_at <= 8 * 3_600_000 + 120_000, "the last attempt began after the window");
    });
}

#[test]
fn a_wish_is_never_undercut_and_cannot_go_on_for_ever() {
    for_seeds(2_000, |dice| {
        let schedule = Schedule::default();
        let first_at = 1_000_000;
        let (mut now, mut attempt) = (first_at, 0);
        loop {
            attempt += 1;
            let wish = Duration::from_secs(dice.below(200_000) + 1);
            let tried = Tried { attempt, first_at, started_at: now };
            now += dice.below(60_000) as i64;
            let Retry::At(at) = schedule.next(tried, now, Some(wish), dice.spin()) else { break };
            let honoured = wish.min(Duration::from_secs(86_400)).as_millis() as i64;
            assert!(at - now >= honoured && at - now <= honoured + honoured / 5 + 1);
            now = at;
            assert!(attempt < 12);
        }
        assert!(now - first_at < (8 + 24 + 5) * 3_600_000);
    });
}

fn run(id: i64, event: i64, installation: i64) -> OpenRun {
    OpenRun {
        id: RunId(id),
        event: EventSeq(event),
        installation: InstallationId(installation),
        version: Digest([0; 32]),
        hook: "on-pay".into(),
        state: RunState::Ready,
        attempts: 0,
        budget_from: 0,
        first_at: None,
        next_at: 0,
        ended_at: None,
        deadline_at: None,
        repaired: false,
        cut_off: None,
    }
}

/// Nobody waits for a version.
fn loaded(_: &OpenRun) -> Option<i64> {
    None
}

/// A whole lane played by the decisions alone: attempts end at random, time moves, installations are held and freed, versions
/// take their time to load.
#[test]
fn a_lane_runs_each_installation_in_sequence_and_drains() {
    for_seeds(1_000, |dice| {
        let (events, installations) = (1 + dice.below(6) as i64, 1 + dice.below(4) as i64);
        let mut runs: Vec<OpenRun> = Vec::new();
        for event in 1..=events {
            for installation in 1..=installations {
                if dice.yes(80) {
                    runs.push(run(runs.len() as i64 + 1, event, installation));
                }
            }
        }
        let all = runs.len();
        let mut ended: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let mut held: HashSet<i64> = HashSet::new();
        // What a drain found not to be loaded; the next one tries it again.
        let mut loading: HashMap<RunId, i64> = HashMap::new();
        let mut now = 0;
        for step in 0.. {
            assert!(step < 10_000, "the lane does not drain");
            if dice.yes(10) {
                held = (1..=installations).filter(|_| dice.yes(30)).collect();
            }
            let standing = |one: InstallationId| if held.contains(&one.0) { Standing::Held } else { Standing::Open };
            let waits = |run: &OpenRun| loading.get(&run.id).copied();
            match choose(&runs, standing, waits, now) {
                Step::Idle => {
                    assert!(runs.iter().all(|run| held.contains(&run.installation.0)), "idle, but something is due");
                    held.clear();
                    if runs.is_empty() {
                        break;
                    }
                }
                Step::Wait(at) => {
                    assert!(at > now);
                    for run in runs.iter().filter(|run| !held.contains(&run.installation.0)) {
                        let first =
                            !runs.iter().any(|one| one.installation == run.installation && one.event < run.event);
                        let due = run.state == RunState::Ready || run.next_at <= now;
                        assert!(!first || !due || loading.contains_key(&run.id), "{} waits for others", run.id);
                    }
                    now = at;
                    loading.clear();
                }
                Step::Park(_) => panic!("nobody was removed"),
                Step::Run(id) => {
                    let at = runs.iter().position(|run| run.id == id).unwrap();
                    let chosen = runs[at].clone();
                    assert!(!held.contains(&chosen.installation.0));
                    assert!(chosen.state == RunState::Ready || chosen.next_at <= now);
                    let earlier = |run: &&OpenRun| run.installation == chosen.installation && run.event < chosen.event;
                    assert!(!runs.iter().any(|run| earlier(&run)), "an earlier event of the installation is not done");
                    assert!(!loading.contains_key(&id), "it has no code yet");
                    if dice.yes(15) {
                        loading.insert(id, now + 2_000);
                        continue;
                    }
                    if chosen.attempts < 11 && dice.yes(40) {
                        runs[at].attempts += 1;
                        runs[at].state = RunState::Waiting;
                        runs[at].next_at = now + 1 + dice.below(10_000) as i64;
                    } else {
                        ended.entry(chosen.installation.0).or_default().push(chosen.event.0);
                        runs.remove(at);
                    }
                }
            }
        }
        assert_eq!(ended.values().map(Vec::len).sum::<usize>(), all);
        assert!(ended.values().all(|events| events.is_sorted()));
    });
}

#[test]
fn a_waiting_run_frees_the_lane_for_others_but_not_for_its_own_later_events() {
    let mut runs = vec![run(1, 1, 1), run(2, 1, 2), run(3, 2, 1), run(4, 2, 2)];
    runs[0].state = RunState::Waiting;
    runs[0].next_at = 100;
    let open = |_| Standing::Open;
    assert_eq!(choose(&runs, open, loaded, 0), Step::Run(RunId(2)));
    runs.remove(1);
    assert_eq!(choose(&runs, open, loaded, 0), Step::Run(RunId(4)));
    runs.remove(2);
    assert_eq!(choose(&runs, open, loaded, 0), Step::Wait(100));
    assert_eq!(choose(&runs, open, loaded, 100), Step::Run(RunId(1)));
}

#[test]
fn a_run_whose_version_is_being_loaded_frees_the_lane_as_one_that_waits_for_its_retry_does() {
    let mut runs = vec![run(1, 1, 1), run(2, 1, 2), run(3, 2, 1), run(4, 2, 2), run(5, 3, 1)];
    runs[4].repaired = true;
    let open = |_| Standing::Open;
    let loading = |run: &OpenRun| (run.id == RunId(1)).then_some(70);
    assert_eq!(choose(&runs, open, loading, 0), Step::Run(RunId(2)));
    runs.remove(1);
    assert_eq!(choose(&runs, open, loading, 0), Step::Run(RunId(4)), "its own later event waits");
    runs.remove(2);
    assert_eq!(choose(&runs, open, loading, 0), Step::Run(RunId(5)), "a repaired one waits for nobody");
    let all = |_: &OpenRun| Some(70);
    assert_eq!(choose(&runs, open, all, 0), Step::Wait(70));
    (runs[2].state, runs[2].next_at) = (RunState::Waiting, 50);
    assert_eq!(choose(&runs, open, loading, 0), Step::Wait(50), "whatever comes first");

    // What was sent and not answered is settled before others change the order.
    runs[0].cut_off = Some((1, 0));
    assert_eq!(choose(&runs, open, loading, 60), Step::Wait(70));
    let held = |one: InstallationId| if one.0 == 1 { Standing::Held } else { Standing::Open };
    runs.push(run(6, 4, 2));
    assert_eq!(choose(&runs, held, loading, 60), Step::Run(RunId(6)));
}

#[test]
fn a_run_whose_attempt_ended_in_the_future_waits_for_no_time_of_that_clock() {
    let mut waiting = run(1, 1, 1);
    (waiting.state, waiting.next_at) = (RunState::Waiting, 200_000);
    waiting.ended_at = Some(100_000);
    let open = |_| Standing::Open;
    assert_eq!(choose(&[waiting.clone()], open, loaded, 40_000), Step::Wait(200_000), "clocks differ by that much");
    assert_eq!(choose(&[waiting], open, loaded, 39_999), Step::Run(RunId(1)));
}

#[test]
fn a_cut_off_attempt_goes_first_and_a_repaired_run_stands_outside_the_sequence() {
    let mut runs = vec![run(1, 1, 1), run(2, 2, 2), run(3, 3, 1)];
    runs[1].cut_off = Some((1, 0));
    let open = |_| Standing::Open;
    assert_eq!(choose(&runs, open, loaded, 0), Step::Run(RunId(2)));
    runs.remove(1);
    runs[0].repaired = true;
    runs[0].state = RunState::Waiting;
    runs[0].next_at = 50;
    assert_eq!(choose(&runs, open, loaded, 0), Step::Run(RunId(3)), "a repaired run holds nobody up");
    let gone = |one: InstallationId| if one.0 == 1 { Standing::Gone } else { Standing::Open };
    assert_eq!(choose(&runs, gone, loaded, 0), Step::Park(RunId(1)));
}

#[test]
fn of_the_places_to_wait_outside_half_is_left_to_tenants_that_have_none() {
    for_seeds(500, |dice| {
        let runs = 1 + dice.below(300) as usize;
        let most = (runs / 2).max(1);
        let mut outside = Outside::of_runs(runs);
        let mut waits: BTreeMap<i64, usize> = BTreeMap::new();
        for _ in 0..500 {
            let tenant = 1 + dice.below(60) as i64;
            let own = waits.get(&tenant).copied().unwrap_or(0);
            let inside: usize = waits.values().sum();
            if dice.yes(35) {
                outside.leave(TenantId(tenant));
                waits.insert(tenant, own.saturating_sub(1));
                continue;
            }
            let entered = outside.enter(TenantId(tenant));
            if own == 0 {
                assert_eq!(entered, inside < most, "one that has none takes any free place, and no other");
            } else if entered {
                assert!(own < most / 8, "{own} of {most} of one tenant, and one more");
                assert!(most - inside > most / 2, "{inside} of {most} were taken");
            }
            waits.insert(tenant, own + usize::from(entered));
        }
    });
}

const NOTE: &[i64] = &[3];

fn cause(id: i64, installation: i64, intent_at: i64) -> Cause {
    Cause {
        id,
        installation: InstallationId(installation),
        state: EffectState::Applied,
        busy: false,
        intent_at,
        raises: NOTE,
        raises_events: &["channels_ec_order_deliver"],
    }
}

#[test]
fn an_echo_needs_the_type_the_time_and_an_effect_that_was_sent() {
    let causes = [cause(1, 7, 1_000_000_000)];
    let ask = |ext_type, created_at| {
        let question = Question {
            event: "channels_ec_order_ext_info_update",
            ext_type: Some(ext_type),
            created_at,
            since: created_at,
        };
        explain(question, &causes, &[]).map(|cause| cause.id)
    };
    assert_eq!(ask(3, 1_000_000), Some(1));
    assert_eq!(ask(3, 1_000_000 + WINDOW_S), Some(1));
    assert_eq!(ask(3, 1_000_000 - SKEW_S), Some(1));
    assert_eq!(ask(3, 1_000_001 + WINDOW_S), None);
    assert_eq!(ask(3, 999_999 - SKEW_S), None);
    assert_eq!(ask(8, 1_000_000), None);
    let question =
        Question { event: "channels_ec_order_deliver", ext_type: None, created_at: 1_000_000, since: 1_000_000 };
    assert_eq!(explain(question, &causes, &[]).map(|cause| cause.id), Some(1));
    assert_eq!(explain(question, &causes, &[1]), None, "one effect explains one event");
    for (state, explains) in [
        (EffectState::Intent, true),
        (EffectState::Unknown, true),
        (EffectState::Refused, false),
        (EffectState::RefusedForNow, false),
    ] {
        let one = [Cause { state, ..cause(1, 7, 1_000_000_000) }];
        assert_eq!(explain(question, &one, &[]).is_some(), explains, "{state:?}");
    }
}

#[test]
fn never_more_echoes_than_effects_and_only_the_causer_is_spared() {
    for_seeds(1_000, |dice| {
        let causes: Vec<Cause> = (0..dice.below(4) as i64)
            .map(|id| cause(id, 1 + dice.below(2) as i64, dice.below(900) as i64 * 1_000))
            .collect();
        let mut causes = causes;
        causes.sort_by_key(|cause| (cause.intent_at, cause.id));
        let events: Vec<UnplannedEvent> = (0..dice.below(8) as i64)
            .map(|seq| UnplannedEvent {
                seq: EventSeq(seq),
                event: "channels_ec_order_ext_info_update".into(),
                ext_type: Some(if dice.yes(70) { 3 } else { 5 }),
                source: Source::Callback,
                only: None,
                created_at: dice.below(1_600) as i64,
                received_at: 0,
            })
            .collect();
        let subscriber = |id: i64, echoes: bool| Subscriber {
            installation: InstallationId(id),
            standing: if dice_free(id) { Standing::Open } else { Standing::Held },
            echoes,
        };
        let subscribers = [subscriber(1, false), subscriber(2, false), subscriber(3, false), subscriber(1_000, true)];
        let subscriptions = subscribers.each_ref().map(|one| subscription(one.installation.0, -1, None));
        let planned = plan(&events, &subscriptions, &subscribers, &causes, &[]).unwrap();
        let echoes: Vec<i64> = planned.iter().filter_map(|event| event.echo_of).collect();
        assert_eq!(echoes.iter().collect::<HashSet<_>>().len(), echoes.len(), "an effect explained two events");
        for (event, planned) in events.iter().zip(&planned) {
            let to: Vec<i64> = planned.runs.iter().map(|run| run.installation.0).collect();
            let spared = planned.echo_of.map(|id| causes.iter().find(|cause| cause.id == id).unwrap().installation.0);
            let wanted: Vec<i64> = [1, 2, 3, 1_000].into_iter().filter(|id| Some(*id) != spared).collect();
            assert_eq!(to, wanted);
            assert!(planned.echo_of.is_none() || event.ext_type == Some(3));
        }
    });
}

fn dice_free(id: i64) -> bool {
    id % 2 == 0
}

fn subscription(installation: i64, from: i64, until: Option<i64>) -> Subscription {
    Subscription {
        installation: InstallationId(installation),
        version: Digest([installation as u8; 32]),
        hook: "on-ext-info-update".into(),
        from: EventSeq(from),
        until: until.map(EventSeq),
    }
}

#[test]
fn a_run_is_pinned_to_what_was_active_at_its_event_and_an_address_wish_has_its_deadline() {
    let mut event = UnplannedEvent {
        seq: EventSeq(10),
        event: "product_order_status_update".into(),
        ext_type: None,
        source: Source::Callback,
        only: None,
        created_at: 1_000,
        received_at: 500,
    };
    let subscriber = |id: i64, standing| Subscriber { installation: InstallationId(id), standing, echoes: false };
    let subscribers = [
        subscriber(1, Standing::Open),
        subscriber(2, Standing::Open),
        subscriber(3, Standing::Gone),
        subscriber(4, Standing::Held),
    ];
    let subscriptions = [
        subscription(1, 9, None),
        subscription(2, 10, None),
        subscription(3, 1, None),
        Subscription { version: Digest([40; 32]), ..subscription(4, 1, Some(9)) },
        Subscription { version: Digest([41; 32]), ..subscription(4, 9, Some(10)) },
        Subscription { version: Digest([42; 32]), ..subscription(4, 10, None) },
        Subscription { hook: "on-pay".into(), ..subscription(1, 1, None) },
    ];
    assert!(plan(&[event.clone()], &subscriptions, &subscribers, &[], &[]).unwrap()[0].runs.is_empty());
    event.event = "channels_ec_order_ext_info_update".into();
    event.ext_type = Some(4);
    let planned = plan(std::slice::from_ref(&event), &subscriptions, &subscribers, &[], &[]).unwrap();
    let runs: Vec<_> = planned[0].runs.iter().map(|run| (run.installation.0, run.version.0[0])).collect();
    assert_eq!(runs, [(1, 1), (4, 41)]);
    assert!(planned[0].runs.iter().all(|run| run.deadline_at == Some((1_000 + 43_200) * 1_000)));

    // One that hears it and is in no list was made or removed between two looks; one that ended was removed before.
    let mut strange = vec![subscription(7, 1, Some(10))];
    let planned = plan(std::slice::from_ref(&event), &strange, &subscribers, &[], &[]).unwrap();
    assert!(planned[0].runs.is_empty());
    strange.push(subscription(8, 1, None));
    let refused = plan(&[event], &strange, &subscribers, &[], &[]).unwrap_err();
    assert_eq!(refused, UnknownSubscriber(InstallationId(8)));
}

/// The queue against a model: exclusive lanes, both caps, no lost poke, tenants in turn.
#[test]
fn the_queue_keeps_lanes_exclusive_its_caps_and_every_poke() {
    for_seeds(1_000, |dice| {
        let (max, per_tenant) = (1 + dice.below(6) as usize, 1 + dice.below(4) as usize);
        let mut queue = Queue::new(max, HashMap::new());
        let mut running: Vec<LaneKey> = Vec::new();
        // Lanes that must still be started after their last poke.
        let mut owed: HashSet<LaneKey> = HashSet::new();
        for _ in 0..400 {
            match dice.below(3) {
                0 => {
                    let lane = LaneKey::new(TenantId(dice.below(4) as i64), &dice.below(5).to_string());
                    queue.poke(&lane, 0);
                    owed.insert(lane);
                }
                1 => {
                    if let Some(lane) = queue.start(|_| per_tenant) {
                        assert!(!running.contains(&lane), "a lane runs twice");
                        owed.remove(&lane);
                        running.push(lane);
                        assert!(running.len() <= max);
                        let mut of: BTreeMap<i64, usize> = BTreeMap::new();
                        running.iter().for_each(|lane| *of.entry(lane.tenant.0).or_default() += 1);
                        assert!(of.values().all(|count| *count <= per_tenant));
                    } else if running.len() < max {
                        let full = |tenant| running.iter().filter(|lane| lane.tenant == tenant).count() >= per_tenant;
                        let free = |lane: &&LaneKey| !running.contains(lane) && !full(lane.tenant);
                        assert!(!owed.iter().any(|lane| free(&lane)), "a place is free and a lane waits");
                    }
                }
                _ => {
                    if !running.is_empty() {
                        let lane = running.swap_remove(dice.below(running.len() as u64) as usize);
                        let more = dice.yes(20);
                        queue.finished(&lane, more, dice.below(5_000_000), 0);
                        if more {
                            owed.insert(lane);
                        }
                    }
                }
            }
        }
        for lane in running.drain(..) {
            queue.finished(&lane, false, 0, 0);
        }
        while let Some(lane) = queue.start(|_| per_tenant) {
            owed.remove(&lane);
            queue.finished(&lane, false, 0, 0);
        }
        assert!(owed.is_empty(), "a poke was lost: {owed:?}");
        assert!(queue.is_idle());
    });
}

#[test]
fn tenants_take_turns() {
    let mut queue = Queue::new(1, HashMap::new());
    for lane in 0..3 {
        queue.poke(&LaneKey::new(TenantId(1), &lane.to_string()), 0);
    }
    queue.poke(&LaneKey::new(TenantId(2), "0"), 0);
    let mut order = Vec::new();
    while let Some(lane) = queue.start(|_| 1) {
        order.push(lane.tenant.0);
        queue.finished(&lane, false, 0, 0);
    }
    assert_eq!(order, [1, 2, 1, 1]);
}

#[test]
fn each_tenant_has_as_many_places_as_it_may() {
    let mut queue = Queue::new(10, HashMap::new());
    for (tenant, lane) in (0..8).map(|lane| (1 + lane % 2, lane)) {
        queue.poke(&LaneKey::new(TenantId(tenant), &lane.to_string()), 0);
    }
    let at_once = |tenant| if tenant == TenantId(1) { 3 } else { 0 };
    let mut of: BTreeMap<i64, usize> = BTreeMap::new();
    while let Some(lane) = queue.start(at_once) {
        *of.entry(lane.tenant.0).or_default() += 1;
    }
    assert_eq!(of, BTreeMap::from([(1, 3), (2, 1)]), "one lane always may");
}

/// One tenant with nine tenths of all lanes, and then one that burns its fuel, beside nine others.
#[test]
fn the_queue_gives_shares_whatever_is_offered() {
    // Who burns 51 times what others cost has had its few turns when they are done.
    for (burning, turns) in [(0, 300), (50_000_000, 272)] {
        let mut queue = Queue::new(4, HashMap::new());
        for lane in 0..900 {
            queue.poke(&LaneKey::new(TenantId(1), &lane.to_string()), 0);
        }
        for tenant in 2..=10 {
            (0..30).for_each(|lane| queue.poke(&LaneKey::new(TenantId(tenant), &lane.to_string()), 0));
        }
        let mut had: BTreeMap<i64, u64> = BTreeMap::new();
        for _ in 0..turns {
            let lane = queue.start(|_| 4).unwrap();
            *had.entry(lane.tenant.0).or_default() += 1;
            queue.finished(&lane, false, if lane.tenant.0 == 1 { burning } else { 0 }, 0);
        }
        assert!((2..=10).all(|tenant| had[&tenant] == 30), "{had:?}");
    }
}

#[test]
fn the_lane_that_waits_longest_is_told() {
    let mut queue = Queue::new(1, HashMap::new());
    assert_eq!(queue.waiting_since(), None);
    let lanes: Vec<_> = (0..3).map(|lane| LaneKey::new(TenantId(lane % 2), &lane.to_string())).collect();
    for (lane, at) in lanes.iter().zip([70, 50, 60]) {
        queue.poke(lane, at);
    }
    // A poke of a lane that waits changes nothing.
    queue.poke(&lanes[0], 90);
    assert_eq!(queue.waiting_since(), Some(50));
    let first = queue.start(|_| 1).unwrap();
    assert_eq!((&first, queue.waiting_since()), (&lanes[0], Some(50)));
    queue.finished(&first, true, 0, 80);
    let second = queue.start(|_| 1).unwrap();
    assert_eq!((&second, queue.waiting_since()), (&lanes[1], Some(60)));
}
