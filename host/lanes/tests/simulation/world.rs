//! One seed's world: processes whose tasks take turns step by step, a store that commits one write at a time, a platform
//! with requests under way, and a clock that moves by hand. Whatever happens next is drawn, so a seed repeats exactly.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use fangshi_journal::{EventSeq, InstallationId, LaneKey, Subscription, TenantId};
use fangshi_lanes::decide::queue::Queue;
use fangshi_lanes::{Schedule, Standing, Subscriber};

use crate::dice::Dice;
use crate::drain::drain;
use crate::model::{Answer, HOOK, Model, Refused, Write, version};
use crate::oracle;
use crate::shop::{Fate, Shop};

/// What goes wrong at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The store refuses it.
    Refused,
    /// It is written, and whoever asked is told that it was not.
    AnswerLost,
    /// The process is killed before it.
    KillBefore,
    /// The process is killed right after it.
    KillAfter,
}

pub const FAULTS: [Fault; 4] = [Fault::Refused, Fault::AnswerLost, Fault::KillBefore, Fault::KillAfter];

/// Which commits fail.
#[derive(Debug, Clone, Copy)]
pub enum Plan {
    /// Any, now and then.
    Drawn,
    /// The n-th, from 1, and no other.
    Nth(u64, Fault),
}

/// Why a drain can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    Stale,
    Broken,
}

/// A write, when it was made, and what came of it.
pub struct Entry {
    pub now: i64,
    pub write: Write,
    pub answer: Result<Answer, Refused>,
}

pub const START: i64 = 1_767_225_600_000;
/// Steps after which the backlog must have drained.
const PATIENCE: usize = 60_000;
/// The backlog is given to the schedule of attempts; its waits pass in one step each.
const TENANTS: [(i64, &[i64]); 2] = [(1, &[1, 2]), (2, &[3])];

struct Process {
    queue: Queue,
    alive: bool,
}

struct Task {
    process: usize,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// A callback of the platform, pushed until it is acknowledged.
struct Push {
    lane: LaneKey,
    dedup: [u8; 32],
    acknowledged: Option<EventSeq>,
    under_way: bool,
}

pub struct World {
    pub dice: Dice,
    pub model: RefCell<Model>,
    pub shop: RefCell<Shop>,
    pub schedule: Schedule,
    pub trace: RefCell<Vec<Entry>>,
    now: Cell<i64>,
    plan: Plan,
    /// Whether installations are paused now and then.
    holds: bool,
    /// Faults are over: the backlog must drain.
    calm: Cell<bool>,
    commits: Cell<u64>,
    processes: RefCell<Vec<Process>>,
    pushes: RefCell<Vec<Push>>,
    held: RefCell<BTreeSet<InstallationId>>,
    /// Those that were paused at any time: what a crash cut off may then stay open while others go on.
    once_held: RefCell<BTreeSet<InstallationId>>,
}

/// What a played seed leaves.
pub struct Played {
    pub world: Rc<World>,
    /// Commits that were asked for.
    pub commits: u64,
}

impl World {
    fn new(seed: u64, plan: Plan) -> World {
        let hears = |id: &i64| Subscription {
            installation: InstallationId(*id),
            version: version(*id),
            hook: HOOK.into(),
            from: EventSeq(0),
            until: None,
        };
        let of = |(tenant, all): (i64, &[i64])| (TenantId(tenant), all.iter().map(hears).collect());
        let model = Model::new(TENANTS.into_iter().map(of).collect());
        let dice = Dice::new(seed);
        World {
            holds: dice.percent(25),
            dice,
            model: RefCell::new(model),
            shop: RefCell::default(),
            schedule: Schedule::default(),
            trace: RefCell::default(),
            now: Cell::new(START),
            plan,
            calm: Cell::new(false),
            commits: Cell::new(0),
            processes: RefCell::default(),
            pushes: RefCell::default(),
            held: RefCell::default(),
            once_held: RefCell::default(),
        }
    }

    pub fn now(&self) -> i64 {
        self.now.get()
    }

    /// Others may go on before the caller does.
    pub async fn pause(&self) {
        let mut paused = false;
        std::future::poll_fn(|_| match std::mem::replace(&mut paused, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    /// One commit of a process: made, refused, or cut off by a kill.
    pub async fn commit(&self, process: usize, write: Write) -> Result<Answer, Halt> {
        self.pause().await;
        let number = self.commits.get() + 1;
        self.commits.set(number);
        let fault = match self.plan {
            Plan::Nth(nth, fault) => (nth == number).then_some(fault),
            Plan::Drawn if self.calm.get() || !self.dice.percent(6) => None,
            Plan::Drawn => Some(FAULTS[self.dice.below(FAULTS.len())]),
        };
        if fault == Some(Fault::Refused) {
            return Err(Halt::Broken);
        }
        if fault != Some(Fault::KillBefore) {
            let answer = self.write(write);
            match fault {
                None => return answer,
                Some(Fault::AnswerLost) => return Err(Halt::Broken),
                Some(_) => {}
            }
        }
        self.kill(process);
        std::future::pending().await
    }

    fn write(&self, write: Write) -> Result<Answer, Halt> {
        let answer = self.model.borrow_mut().commit(&write, self.now());
        if let Err(Refused::Wrong(text)) = &answer {
            panic!("{text}: {write:?}");
        }
        if answer.is_ok() {
            oracle::after_write(&self.model.borrow(), &write, &self.once_held.borrow());
        }
        let told = answer.clone().map_err(|_| Halt::Stale);
        self.trace.borrow_mut().push(Entry { now: self.now(), write, answer });
        told
    }

    fn kill(&self, process: usize) {
        self.processes.borrow_mut()[process].alive = false;
    }

    /// How an installation stands now.
    pub fn standing(&self, installation: InstallationId) -> Standing {
        if self.held.borrow().contains(&installation) { Standing::Held } else { Standing::Open }
    }

    pub fn subscribers(&self, tenant: TenantId) -> Vec<Subscriber> {
        let of = TENANTS.iter().find(|(id, _)| *id == tenant.0).map_or(&[][..], |(_, all)| all);
        of.iter()
            .map(|id| InstallationId(*id))
            .map(|id| Subscriber { installation: id, standing: self.standing(id), echoes: true })
            .collect()
    }

    /// Who hears a tenant's events.
    pub fn hearers(tenant: TenantId) -> usize {
        TENANTS.iter().find(|(id, _)| *id == tenant.0).map_or(0, |(_, all)| all.len())
    }

    /// All tenants and their installations.
    pub fn everybody() -> impl Iterator<Item = (TenantId, i64)> {
        TENANTS.iter().flat_map(|(tenant, all)| all.iter().map(|id| (TenantId(*tenant), *id)))
    }

    /// A drain gave its place back.
    pub fn finished(&self, process: usize, lane: &LaneKey, more: bool) {
        self.processes.borrow_mut()[process].queue.finished(lane, more, 0, 0);
    }

    /// Whether a read of an order fails now.
    pub fn read_fails(&self) -> bool {
        !self.calm.get() && self.dice.percent(5)
    }

    /// Acknowledged callbacks and the events that were promised for them.
    pub fn acknowledged(&self) -> BTreeMap<[u8; 32], (LaneKey, EventSeq)> {
        let pushes = self.pushes.borrow();
        let told = |push: &Push| Some((push.dedup, (push.lane.clone(), push.acknowledged?)));
        pushes.iter().filter_map(told).collect()
    }

    /// What is still to be done, in words.
    fn words(&self) -> String {
        let model = self.model.borrow();
        let lanes: Vec<_> = model.lane_keys().iter().map(|lane| format!("{lane:?} {:?}", model.lane(lane))).collect();
        let unanswered = self.pushes.borrow().iter().filter(|push| push.acknowledged.is_none()).count();
        format!("at {}, {unanswered} callbacks unanswered, {}", self.now(), lanes.join("; "))
    }

    fn alive(&self) -> Vec<usize> {
        let processes = self.processes.borrow();
        (0..processes.len()).filter(|process| processes[*process].alive).collect()
    }

    fn start_process(&self) {
        let number = self.processes.borrow().len();
        self.processes.borrow_mut().push(Process { queue: Queue::new(3, HashMap::new()), alive: true });
        self.sweep(number);
    }

    fn sweep(&self, process: usize) {
        for lane in self.model.borrow().due(self.now()) {
            self.processes.borrow_mut()[process].queue.poke(&lane, 0);
        }
    }

    /// Moves the clock, but never past a request that is still under way.
    fn advance(&self, by: i64) {
        let shop = self.shop.borrow();
        let limit = shop.under_way.iter().map(|request| request.until).min().unwrap_or(i64::MAX);
        self.now.set((self.now() + by).min(limit).max(self.now()));
    }

    fn fate(&self) -> Fate {
        if self.calm.get() {
            return Fate::Done;
        }
        match self.dice.below(10) {
            0 => Fate::AnswerLost,
            1 => Fate::Lost,
            2 => Fate::Refused([100_003, 101_100, -1, 9_999][self.dice.below(4)]),
            _ => Fate::Done,
        }
    }
}

/// A callback arrives at a process.
async fn callback(world: Rc<World>, process: usize, number: usize) {
    let (lane, dedup) = {
        let push = &world.pushes.borrow()[number];
        (push.lane.clone(), push.dedup)
    };
    let recorded = world.commit(process, Write::Record { lane: lane.clone(), dedup }).await;
    let mut pushes = world.pushes.borrow_mut();
    pushes[number].under_way = false;
    if let Ok(Answer::Recorded { seq, .. }) = recorded {
        pushes[number].acknowledged = Some(seq);
        // A poke may be lost: then the sweeper finds the lane.
        if world.calm.get() || !world.dice.percent(10) {
            world.processes.borrow_mut()[process].queue.poke(&lane, 0);
        }
    }
}

/// Plays one seed to its end and checks every invariant on the way.
pub fn play(seed: u64, plan: Plan) -> Played {
    let world = Rc::new(World::new(seed, plan));
    let mut tasks: Vec<Task> = Vec::new();
    let events = 3 + world.dice.below(5);
    // Two executors over one store, now and then: the fence must hold.
    let executors = if world.dice.percent(25) { 2 } else { 1 };
    for number in 0..events {
        let tenant = TenantId(TENANTS[world.dice.below(2)].0);
        let mut dedup = [0; 32];
        dedup[0] = number as u8 + 1;
        let lane = LaneKey::new(tenant, if world.dice.percent(60) { "1" } else { "2" });
        world.pushes.borrow_mut().push(Push { lane, dedup, acknowledged: None, under_way: false });
    }
    let storm = 150 + world.dice.below(250);
    for step in 0.. {
        assert!(step < PATIENCE, "the backlog does not drain: {}", world.words());
        if step == storm {
            world.calm.set(true);
            world.held.borrow_mut().clear();
        }
        let calm = world.calm.get();
        while world.alive().len() < if calm { 1 } else { executors } {
            world.start_process();
        }
        let alive = world.alive();
        tasks.retain(|task| alive.contains(&task.process));
        for push in world.pushes.borrow_mut().iter_mut().filter(|_| tasks.is_empty()) {
            push.under_way = false;
        }
        for process in &alive {
            loop {
                let lane = world.processes.borrow_mut()[*process].queue.start(|_| 2);
                let Some(lane) = lane else { break };
                tasks.push(Task { process: *process, future: Box::pin(drain(world.clone(), *process, lane)) });
            }
        }
        let done = world.pushes.borrow().iter().all(|push| push.acknowledged.is_some());
        if calm && done && tasks.is_empty() && world.model.borrow().backlog() == 0 {
            break;
        }
        happen(&world, &mut tasks, &alive);
    }
    oracle::at_the_end(&world);
    let commits = world.commits.get();
    Played { world, commits }
}

/// One thing happens, drawn.
fn happen(world: &Rc<World>, tasks: &mut Vec<Task>, alive: &[usize]) {
    let process = alive[world.dice.below(alive.len())];
    let under_way = world.shop.borrow().under_way.len();
    match world.dice.below(20) {
        0 | 1 => push(world, tasks, process),
        2..=5 if under_way > 0 => {
            let fate = world.fate();
            world.shop.borrow_mut().meet(world.dice.below(under_way), fate);
        }
        6 => world.advance(world.dice.below(2_000) as i64),
        7 if !world.calm.get() && world.holds => hold(world),
        8 if !world.calm.get() && matches!(world.plan, Plan::Drawn) && world.dice.percent(5) => world.kill(process),
        9 => {
            world.sweep(process);
            // Nothing is under way and nothing is due: the time until the next retry passes at once.
            if tasks.is_empty()
                && under_way == 0
                && let Some(due) = world.model.borrow().next_due(world.now())
            {
                world.advance(due - world.now());
            }
        }
        _ if !tasks.is_empty() => {
            let place = world.dice.below(tasks.len());
            let mut context = Context::from_waker(Waker::noop());
            if tasks[place].future.as_mut().poll(&mut context).is_ready() {
                drop(tasks.swap_remove(place));
            }
        }
        _ => {}
    }
}

fn push(world: &Rc<World>, tasks: &mut Vec<Task>, process: usize) {
    let mut pushes = world.pushes.borrow_mut();
    // One that was acknowledged may come again too.
    let repeats = world.dice.percent(10);
    let waiting: Vec<usize> = (0..pushes.len())
        .filter(|number| !pushes[*number].under_way && (repeats || pushes[*number].acknowledged.is_none()))
        .collect();
    if waiting.is_empty() {
        return;
    }
    let number = waiting[world.dice.below(waiting.len())];
    pushes[number].under_way = true;
    drop(pushes);
    tasks.push(Task { process, future: Box::pin(callback(world.clone(), process, number)) });
}

/// An installation is paused, or goes on.
fn hold(world: &World) {
    let installation = InstallationId(1 + world.dice.below(3) as i64);
    let mut held = world.held.borrow_mut();
    if !held.remove(&installation) && world.dice.percent(30) {
        held.insert(installation);
        world.once_held.borrow_mut().insert(installation);
    }
}
