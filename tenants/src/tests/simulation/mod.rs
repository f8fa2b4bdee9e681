//! The decisions of custody over a model of the row, by seeds: processes take turns at every commit and call, commits are
//! refused, lost or cut off by a kill, answers of the platform are lost. Never two refreshes at once for one version, no
//! more of them than lives and losses explain (I8 of the design), and in the end everybody has a working token. The model
//! is held against the real rows by the same writes.
//!
//! No wall-clock time: a seed repeats exactly. `FANGSHI_SEED=n` plays one alone, `FANGSHI_SEEDS=n` so many.

mod row;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use secrecy::{ExposeSecret, SecretString};

use self::row::{Fresh, Row, Write};
use super::{authorized, scene};
use crate::custody::decide::{self, LEASE_MS, Step};
use crate::custody::{Key, TokenKind, rows};

const START: i64 = 1_767_225_600_000;
const LIFE_MS: i64 = 7_200_000;
/// A call is given up after this; it is begun at once when the lease is held.
const CALL_MS: i64 = 10_000;
const PROCESSES: usize = 3;

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// Where a process stands between two instructions.
#[derive(Clone)]
enum Place {
    Look,
    Lease {
        version: i64,
    },
    Leased {
        row: Row,
    },
    /// The platform was asked at a time; `answer` when it did it.
    Asking {
        row: Row,
        call: usize,
    },
    Answered {
        row: Row,
        fresh: Fresh,
    },
    Release {
        version: i64,
    },
    /// A call got no answer: this process leaves the platform alone until then, with the lease kept.
    Resting {
        until: i64,
    },
    Served,
}

/// A refresh call of the platform's ledger.
struct Call {
    version: i64,
    /// It reaches the platform by then, or never.
    until: i64,
    ended: bool,
    issued: Option<String>,
    /// The platform said no.
    refused: bool,
    /// Nobody heard its answer, or somebody else's write came first.
    wasted: bool,
}

struct World {
    dice: Dice,
    now: i64,
    row: Row,
    places: Vec<Place>,
    /// How often each process was started: it signs its leases with another name each time.
    starts: Vec<u32>,
    calls: Vec<Call>,
    /// Versions that a refresh made.
    lives: usize,
    issued: usize,
    calm: bool,
    plan: Plan,
    /// Commits that were tried.
    commits: usize,
    trace: Vec<(i64, Write, bool)>,
}

/// What goes wrong in a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// Anything, at any time.
    Dice,
    /// This, at this commit, and nothing else.
    Nth(usize, Fault),
}

/// What goes wrong at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Refused,
    AnswerLost,
    KillBefore,
    KillAfter,
}

impl World {
    fn new(seed: u64, plan: Plan) -> World {
        // As a new tenant's: a refresh token, and an access token that is due at once.
        let row = Row { version: 1, refresh: Some("refresh-0".into()), refresh_at: START, ..Row::default() };
        World {
            dice: Dice(seed),
            now: START,
            row,
            places: vec![Place::Look; PROCESSES],
            starts: vec![1; PROCESSES],
            calls: Vec::new(),
            lives: 0,
            issued: 0,
            calm: false,
            plan,
            commits: 0,
            trace: Vec::new(),
        }
    }

    /// One commit: none if the process was killed, an error if it was told that nothing was written.
    fn commit(&mut self, process: usize, write: Write) -> Option<Result<bool, ()>> {
        self.commits += 1;
        let fault = match (self.plan, self.dice.below(100)) {
            (Plan::Nth(nth, fault), _) => (self.commits == nth).then_some(fault),
            _ if self.calm => None,
            (_, 0..3) => Some(Fault::Refused),
            (_, 3..6) => Some(Fault::AnswerLost),
            (_, 6..9) => Some(Fault::KillBefore),
            (_, 9..12) => Some(Fault::KillAfter),
            _ => None,
        };
        let mut told = Err(());
        if !matches!(fault, Some(Fault::Refused | Fault::KillBefore)) {
            let done = self.row.commit(&write, self.now);
            self.lives += usize::from(done && matches!(write, Write::Settle { .. }));
            self.trace.push((self.now, write, done));
            told = Ok(done);
        }
        match fault {
            Some(Fault::KillBefore | Fault::KillAfter) => {
                self.kill(process);
                None
            }
            Some(Fault::AnswerLost) => Some(Err(())),
            _ => Some(told),
        }
    }

    /// The process starts anew; what it asked the platform for may still happen.
    fn kill(&mut self, process: usize) {
        if let Place::Asking { call, .. } = &self.places[process] {
            self.calls[*call].wasted = true;
        }
        if let Place::Answered { .. } = &self.places[process] {
            self.waste(process);
        }
        self.places[process] = Place::Look;
        self.starts[process] += 1;
    }

    /// What the process was given is not stored.
    fn waste(&mut self, process: usize) {
        let Place::Answered { fresh, .. } = &self.places[process] else { return };
        let access = fresh.access.clone();
        for call in self.calls.iter_mut().filter(|call| call.issued.as_deref() == Some(&access)) {
            call.wasted = true;
        }
    }

    fn step(&mut self, process: usize) {
        let owner = format!("{process} of start {}", self.starts[process]);
        self.places[process] = match self.places[process].clone() {
            Place::Look => match decide::next(self.row.standing(), self.now, &owner) {
                Step::Use => {
                    assert!(self.now < self.row.expires_at, "a token that is over was served");
                    Place::Served
                }
                Step::Lease => Place::Lease { version: self.row.version },
                Step::Wait => Place::Look,
                Step::Refused => panic!("nothing was refused"),
            },
            Place::Lease { version } => match self.commit(process, Write::Lease { version, owner }) {
                Some(Ok(true)) => Place::Leased { row: self.row.clone() },
                _ => Place::Look,
            },
            Place::Leased { row } if decide::next(row.standing(), self.now, &owner) != Step::Lease => {
                Place::Release { version: row.version }
            }
            Place::Leased { row } => {
                let under_way = self.calls.iter().filter(|call| !call.ended && call.version == row.version).count();
                assert_eq!(under_way, 0, "two refreshes of version {} at once", row.version);
                let until = self.now + CALL_MS;
                let call =
                    Call { version: row.version, until, ended: false, issued: None, refused: false, wasted: false };
                self.calls.push(call);
                Place::Asking { row, call: self.calls.len() - 1 }
            }
            Place::Asking { row, call } if self.calls[call].ended => match self.calls[call].issued.clone() {
                Some(access) if !self.calls[call].wasted => Place::Answered { fresh: self.fresh(&row, access), row },
                // Refused, so nothing is under way.
                None if self.calls[call].refused => Place::Release { version: row.version },
                _ => Place::Resting { until: self.now + LEASE_MS },
            },
            // Gave up at the end of its time; whether it was carried out nobody knows.
            Place::Asking { call, .. } if self.calls[call].until <= self.now => {
                self.calls[call].wasted = true;
                Place::Resting { until: self.now + LEASE_MS }
            }
            asking @ Place::Asking { .. } => asking,
            Place::Answered { row, fresh } => {
                let write = Write::Settle { version: row.version, owner, fresh: fresh.clone() };
                match self.commit(process, write) {
                    // The store failed: it is tried until the store takes it.
                    Some(Err(())) => Place::Answered { row, fresh },
                    Some(Ok(stored)) => {
                        if !stored && self.row.access.as_ref() != Some(&fresh.access) {
                            self.waste(process);
                        }
                        Place::Look
                    }
                    None => Place::Look,
                }
            }
            Place::Release { version } => {
                let _ = self.commit(process, Write::Release { version, owner });
                Place::Look
            }
            Place::Resting { until } if until <= self.now => Place::Look,
            resting @ Place::Resting { .. } => resting,
            Place::Served => Place::Served,
        };
    }

    fn fresh(&self, row: &Row, access: String) -> Fresh {
        let number = access.trim_start_matches("access-").to_owned();
        Fresh {
            access,
            refresh: format!("refresh-{number}"),
            previous: row.refresh.clone(),
            issued_at: self.now,
            refresh_at: self.now + LIFE_MS * 8 / 10,
            expires_at: self.now + LIFE_MS,
        }
    }

    /// A call under way reaches its end: done, done without an answer, or never done.
    fn meet(&mut self) {
        let open: Vec<usize> = (0..self.calls.len()).filter(|call| !self.calls[*call].ended).collect();
        let Some(call) = open.get(self.dice.below(open.len().max(1))).copied() else { return };
        let fate = if self.calm || self.plan != Plan::Dice { 9 } else { self.dice.below(10) };
        self.calls[call].ended = true;
        self.calls[call].refused = fate == 1;
        if fate > 1 {
            self.issued += 1;
            self.calls[call].issued = Some(format!("access-{}", self.issued));
        }
        // Done, and the answer is lost.
        self.calls[call].wasted |= fate == 2;
    }

    /// Time goes on, but not past the end of a call, nor far while a lease is held that was not used yet.
    fn advance(&mut self, by: i64) {
        let until = self.calls.iter().filter(|call| !call.ended).map(|call| call.until).min().unwrap_or(i64::MAX);
        let leased = self.places.iter().any(|place| matches!(place, Place::Leased { .. }));
        if !leased {
            self.now = (self.now + by).min(until).max(self.now);
        }
    }

    fn happen(&mut self) {
        let process = self.dice.below(PROCESSES);
        match self.dice.below(20) {
            0 | 1 => self.meet(),
            2 => {
                let by = self.dice.below(2_000) as i64;
                self.advance(by);
            }
            3 => self.advance(LEASE_MS / 3),
            // The token's life passes, and everybody wants one again.
            4 if !self.calm => {
                self.advance(LIFE_MS);
                self.want();
            }
            5 if !self.calm && self.dice.below(4) == 0 => {
                let version = self.row.version;
                self.outside(Write::Invalidate { version });
                self.want();
            }
            6 if !self.calm && self.dice.below(20) == 0 => {
                let refresh = format!("authorized-{}", self.trace.len());
                self.outside(Write::Plant { refresh });
            }
            7 if !self.calm && self.plan == Plan::Dice && self.dice.below(10) == 0 => self.kill(process),
            _ => self.step(process),
        }
    }

    fn outside(&mut self, write: Write) {
        let done = self.row.commit(&write, self.now);
        self.trace.push((self.now, write, done));
    }

    fn want(&mut self) {
        for place in self.places.iter_mut().filter(|place| matches!(place, Place::Served)) {
            *place = Place::Look;
        }
    }
}

fn play(seed: u64, plan: Plan) -> World {
    let mut world = World::new(seed, plan);
    for step in 0.. {
        assert!(step < 20_000, "somebody waits for ever");
        if step == 400 {
            world.calm = true;
            world.want();
        }
        if world.calm && world.places.iter().all(|place| matches!(place, Place::Served)) {
            break;
        }
        world.happen();
    }
    let wasted = world.calls.iter().filter(|call| call.wasted || call.issued.is_none()).count();
    let under_way = world.calls.iter().filter(|call| !call.ended && !call.wasted && call.issued.is_some()).count();
    assert!(
        world.calls.len() <= world.lives + wasted + under_way,
        "{} calls made {} lives",
        world.calls.len(),
        world.lives
    );
    world
}

fn for_each(count: u64, test: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let base: u64 = number("FANGSHI_SEED").unwrap_or_else(|| u64::from_le_bytes(random()) >> 16);
    let count = if number("FANGSHI_SEED").is_some() { 1 } else { number("FANGSHI_SEEDS").unwrap_or(count) };
    println!("seeds from {base} on, {count} of them");
    for seed in base..base + count {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            println!("failed with FANGSHI_SEED={seed}");
            resume_unwind(panic);
        }
    }
}

fn random() -> [u8; 8] {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

#[test]
fn one_refresh_at_a_time_and_a_token_for_everybody_whatever_fails() {
    for_each(2_000, |seed| drop(play(seed, Plan::Dice)));
}

#[test]
fn each_commit_may_fail_alone_whatever_it_is() {
    for_each(8, |seed| {
        for fault in [Fault::Refused, Fault::AnswerLost, Fault::KillBefore, Fault::KillAfter] {
            let beyond = (1..).find(|nth| play(seed, Plan::Nth(*nth, fault)).commits < *nth);
            assert!(beyond.is_some_and(|nth| nth > 10), "{fault:?} fell at few commits: {beyond:?}");
        }
    });
}

#[test]
fn the_model_of_the_row_answers_as_the_store_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for_each(6, |seed| runtime.block_on(replay(play(seed, Plan::Dice).trace)));
}

/// The writes of a played seed on real SQLite, sealed as they are.
async fn replay(trace: Vec<(i64, Write, bool)>) {
    let scene = scene().await;
    let shop = scene.tenants.create(authorized("wxa", None, Some("refresh-0"))).await.unwrap().id;
    let key = Key { tenant: shop, kind: TokenKind::Access };
    let mut model = World::new(0, Plan::Dice).row;
    for (place, (now, write, done)) in trace.into_iter().enumerate() {
        scene.hand.set(now);
        assert_eq!(model.commit(&write, now), done, "write {place}");
        let real = commit(&scene, key, write.clone(), now).await;
        assert_eq!(real.unwrap_or(done), done, "write {place}: {write:?}");
        let row = rows::read(scene.db.reader(), scene.tenants.vault(), key).await.unwrap().unwrap();
        let shown = |secret: &Option<SecretString>| secret.as_ref().map(|text| text.expose_secret().to_owned());
        let real = Row {
            version: row.version,
            access: shown(&row.secrets.access),
            refresh: shown(&row.secrets.refresh),
            previous: shown(&row.secrets.previous_refresh),
            refresh_at: row.refresh_at,
            expires_at: row.expires_at,
            lease_owner: row.lease_owner,
            lease_until: row.lease_until,
        };
        assert_eq!(real, model, "the row after write {place}: {write:?}");
    }
}

/// Whether the real write took effect; none where it does not tell.
async fn commit(scene: &super::Scene, key: Key, write: Write, now: i64) -> Option<bool> {
    let vault = scene.tenants.vault().clone();
    let told: Result<Option<bool>, crate::error::StoreError> = scene
        .db
        .writer()
        .submit(move |c| {
            Box::pin(async move {
                Ok(match write {
                    Write::Lease { version, owner } => {
                        let until = now + LEASE_MS;
                        Some(rows::lease(c, &vault, key, version, &owner, now, until).await?.is_some())
                    }
                    Write::Release { version, owner } => {
                        rows::release(c, key, version, &owner).await?;
                        None
                    }
                    Write::Settle { version, owner, fresh } => {
                        let secrets = rows::Secrets {
                            access: Some(SecretString::from(fresh.access)),
                            refresh: Some(SecretString::from(fresh.refresh)),
                            previous_refresh: fresh.previous.map(SecretString::from),
                        };
                        let fresh = rows::Fresh {
                            secrets,
                            issued_at: fresh.issued_at,
                            refresh_at: fresh.refresh_at,
                            expires_at: fresh.expires_at,
                        };
                        let settled = rows::settle(c, &vault, key, version, &owner, &fresh).await?;
                        Some(matches!(settled, rows::Settled::Stored))
                    }
                    Write::Invalidate { version } => {
                        rows::invalidate(c, key, version).await?;
                        None
                    }
                    Write::Plant { refresh } => {
                        let planted =
                            crate::custody::Planted { access: None, refresh: Some(SecretString::from(refresh)) };
                        rows::plant(c, &vault, key.tenant, planted, now).await?;
                        None
                    }
                })
            })
        })
        .await;
    told.unwrap()
}
