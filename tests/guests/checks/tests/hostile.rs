//! Every hostile guest ends as its file says, with nothing beyond its limits, and the next run does not notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test fails by panicking")]
use fangshi_guest_checks::Stage;
use fangshi_guest_checks::hostile::{self, End, Ends, smith};
use fangshi_runtime::{Outcome, Runtime, RuntimeConfig};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Guests that are made of random bytes.
const SMITHS: usize = 2_000;

fn runtime() -> Runtime {
    Runtime::new(RuntimeConfig { max_concurrent_runs: 4, ..RuntimeConfig::default() }).unwrap()
}

#[tokio::test]
async fn every_hostile_guest_ends_as_it_must() {
    let (runtime, stage) = (runtime(), Stage::new().unwrap());
    let guests = hostile::all().unwrap();
    let mut strays = Vec::new();
    for guest in &guests {
        let end = guest.play(&runtime, &stage).await.unwrap();
        if let Err(stray) = guest.check(&end) {
            strays.push(format!("{}: {stray}", guest.name));
        }
    }
    println!("guests_contained {} of guests_tried {}", guests.len() - strays.len(), guests.len());
    assert!(strays.is_empty(), "{}", strays.join("\n"));
    assert!(guests.len() >= 60);
}

#[tokio::test]
async fn what_a_hostile_guest_used_is_the_same_each_time() {
    let (runtime, stage) = (runtime(), Stage::new().unwrap());
    for guest in hostile::all().unwrap().iter().filter(|guest| !guest.waits()) {
        let (first, second) =
            (guest.play(&runtime, &stage).await.unwrap(), guest.play(&runtime, &stage).await.unwrap());
        let (End::Ran(mut first), End::Ran(mut second)) = (first, second) else { continue };
        (first.wall_ms, second.wall_ms) = (0, 0);
        assert_eq!(first, second, "{}", guest.name);
    }
}

#[tokio::test]
async fn guests_of_random_bytes_are_contained_by_the_thousand() {
    let seed: u64 = std::env::var("FANGSHI_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("FANGSHI_SEED={seed}");
    let (runtime, stage, mut random) = (runtime(), Stage::new().unwrap(), StdRng::seed_from_u64(seed));
    let (mut refused, mut done, mut stopped) = (0, 0, 0);
    for number in 0..SMITHS {
        let bytes: Vec<u8> = (0..smith::SEED_BYTES).map(|_| random.random()).collect();
        let Some(mut guest) = smith::guest(&format!("smith {number}"), &bytes).unwrap() else { continue };
        guest.limits.fuel = 200_000;
        let end = guest.play(&runtime, &stage).await.unwrap();
        guest.check(&end).unwrap_or_else(|stray| panic!("FANGSHI_SEED={seed}, guest {number}: {stray}"));
        match end {
            End::Refused(..) => refused += 1,
            End::Ran(report) if report.outcome == Outcome::Done => done += 1,
            End::Ran(_) => stopped += 1,
        }
    }
    println!("refused {refused}, done {done}, stopped {stopped}");
    assert!(refused > 0 && done > 0 && stopped > 0);
}

#[test]
fn every_hook_has_a_guest_that_traps_in_it() {
    let contract = [include_str!("../../../../wit/host/services.wit"), include_str!("../../../../wit/store/hooks.wit")];
    let lines = contract.iter().flat_map(|text| text.lines());
    let hooks: Vec<&str> = lines.filter_map(|line| line.strip_prefix("interface on-")?.strip_suffix(" {")).collect();
    assert!(hooks.contains(&"schedule") && hooks.contains(&"pay"), "{hooks:?}");
    let guests = hostile::all().unwrap();
    for hook in hooks {
        let name = format!("trap-on-{hook}");
        let guest = guests.iter().find(|guest| guest.name == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!((guest.hook.clone(), &guest.ends), (format!("on-{hook}"), &Ends::Trap("unreachable".into())));
    }
}

#[test]
fn an_end_is_told_from_another() {
    let refused = End::Refused("no-hook".into(), String::new());
    assert!(Ends::read("refused no-hook").unwrap().fits(&refused));
    assert!(!Ends::read("refused not-wasm").unwrap().fits(&refused));
    assert!(!Ends::read("done").unwrap().fits(&refused));
    assert!(Ends::read("limit fuel").is_err() && Ends::read("well").is_err());
}
