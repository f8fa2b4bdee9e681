//! One seed's world: processes whose tasks take turns step by step, a store that commits one write at a time, a platform
//! with requests under way, and a clock that moves by hand. Whatever happens next is drawn, so a seed repeats exactly.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use fangshi_journal::{EventSeq, InstallationId, LaneKey, RunState, Subscription, TenantId};
use fangshi_lanes::decide::queue::Queue;
use fangshi_lanes::{Schedule, Standing, Subscriber};

use crate::change::Kind;
use crate::dice::Dice;
use crate::disaster::Disaster;
use crate::drain::{drain, plan_alone};
use crate::model::{Model, version};
use crate::oracle;
use crate::pushes::Push;
use crate::reconciling::reconcile;
use crate::shop::{Fate, Shop};
use crate::write::{Answer, Refused, Write};

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
    /// The power fails right after it.
    PowerLost,
}

pub const FAULTS: [Fault; 5] =
    [Fault::Refused, Fault::AnswerLost, Fault::KillBefore, Fault::KillAfter, Fault::PowerLost];

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
/// Tenants and their installations.
pub const TENANTS: [(i64, &[Plugin]); 2] = [(1, &[HIDDEN, TOLD]), (2, &[OTHER])];
const HIDDEN: Plugin = Plugin { id: 1, hooks: &["on-ext-info-update", "on-pay"], echoes: false };
const TOLD: Plugin = Plugin { id: 2, hooks: &["on-deliver", "on-ext-info-update", "on-pay"], echoes: true };
const OTHER: Plugin = Plugin { id: 3, hooks: &["on-deliver", "on-ext-info-update", "on-pay"], echoes: false };

/// An installation.
pub struct Plugin {
    pub id: i64,
    pub hooks: &'static [&'static str],
    /// Whether it hears of what it did itself.
    pub echoes: bool,
}

struct Process {
    queue: Queue,
    alive: bool,
}

pub struct Task {
    pub process: usize,
    pub future: Pin<Box<dyn Future<Output = ()>>>,
}

pub struct World {
    pub dice: Dice,
    pub model: RefCell<Model>,
    pub shop: RefCell<Shop>,
    pub schedule: Schedule,
    /// Whatever was committed, and refused by the store's own rules, in its order.
    pub trace: RefCell<Vec<Entry>>,
    /// How much of it no loss of power undoes.
    pub durable: Cell<usize>,
    now: Cell<i64>,
    plan: Plan,
    /// Whether installations are paused now and then.
    holds: bool,
    /// Whether orders are read now and then, and callbacks get lost.
    pub reconciles: bool,
    pub disaster: Cell<Disaster>,
    /// What merchants and buyers are still to do.
    ahead: Cell<usize>,
    /// How many parked runs a person still lets run again.
    repairs: Cell<usize>,
    /// Faults are over: the backlog must drain.
    calm: Cell<bool>,
    commits: Cell<u64>,
    processes: RefCell<Vec<Process>>,
    pub pushes: RefCell<Vec<Push>>,
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
        let hears = |(id, hook): (i64, &&str)| Subscription {
            installation: InstallationId(id),
            version: version(id),
            hook: (*hook).to_owned(),
            from: EventSeq(0),
            until: None,
        };
        let hooks = |plugin: &'static Plugin| plugin.hooks.iter().map(move |hook| (plugin.id, hook));
        let of = |(tenant, all): (i64, &'static [Plugin])| {
            (TenantId(tenant), all.iter().flat_map(hooks).map(hears).collect())
        };
        let model = Model::new(TENANTS.into_iter().map(of).collect());
        let dice = Dice::new(seed);
        World {
            holds: dice.percent(25),
            reconciles: dice.percent(60),
            disaster: Cell::new(if dice.percent(25) { Disaster::Ahead } else { Disaster::Never }),
            ahead: Cell::new(3 + dice.below(5)),
            repairs: Cell::new(dice.below(4)),
            // Now and then, so that runs are parked.
            schedule: Schedule { attempts: if dice.percent(30) { 2 } else { 12 }, ..Schedule::default() },
            dice,
            model: RefCell::new(model),
            shop: RefCell::default(),
            trace: RefCell::default(),
            durable: Cell::default(),
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

    /// One commit of a process: made and, if it must be, synced; refused; or cut off.
    pub async fn commit(&self, process: usize, write: Write) -> Result<Answer, Halt> {
        self.pause().await;
        let number = self.commits.get() + 1;
        self.commits.set(number);
        let fault = match self.plan {
            Plan::Nth(nth, fault) => (nth == number).then_some(fault),
            Plan::Drawn if self.calm.get() || !self.dice.percent(6) => None,
            Plan::Drawn => Some(FAULTS[self.dice.below(FAULTS.len())]),
        };
        match fault {
            Some(Fault::Refused) => return Err(Halt::Broken),
            Some(Fault::KillBefore) => return self.killed(process).await,
            _ => {}
        }
        let synced = write.is_synced();
        let answer = self.write(write);
        match fault {
            None if synced => {
                let written = self.trace.borrow().len();
                // Others see it before it is durable, and go on.
                self.pause().await;
                self.is_durable_until(written);
                answer
            }
            None => answer,
            Some(Fault::AnswerLost) => Err(Halt::Broken),
            Some(Fault::PowerLost) => {
                self.lose_power();
                std::future::pending().await
            }
            Some(_) => self.killed(process).await,
        }
    }

    async fn killed(&self, process: usize) -> Result<Answer, Halt> {
        self.kill(process);
        std::future::pending().await
    }

    /// A commit of no process, synced at once.
    pub fn write_now(&self, write: Write) {
        self.write(write).expect("nobody else is in its way");
        self.is_durable_until(self.trace.borrow().len());
    }

    fn write(&self, write: Write) -> Result<Answer, Halt> {
        let problem = oracle::of_plan(&self.model.borrow(), &write);
        let answer = self.model.borrow_mut().commit(&write, self.now());
        if let Err(Refused::Wrong(text)) = &answer {
            panic!("{text}: {write:?}");
        }
        if answer.is_ok() {
            assert_eq!(problem, None, "{write:?}");
            oracle::after_write(&self.model.borrow(), &write, &self.once_held.borrow());
        }
        let told = answer.clone().map_err(|_| Halt::Stale);
        self.trace.borrow_mut().push(Entry { now: self.now(), write, answer });
        told
    }

    pub fn kill(&self, process: usize) {
        self.processes.borrow_mut()[process].alive = false;
    }

    /// How an installation stands now.
    pub fn standing(&self, installation: InstallationId) -> Standing {
        if self.held.borrow().contains(&installation) { Standing::Held } else { Standing::Open }
    }

    pub fn subscribers(&self, tenant: TenantId) -> Vec<Subscriber> {
        let subscriber = |plugin: &Plugin| {
            let installation = InstallationId(plugin.id);
            Subscriber { installation, standing: self.standing(installation), echoes: plugin.echoes }
        };
        plugins(tenant).iter().map(subscriber).collect()
    }

    /// Who hears a tenant's events of a kind, and whether it hears of what it did itself.
    pub fn hearers(tenant: TenantId, kind: Kind) -> impl Iterator<Item = (InstallationId, bool)> {
        let hears = move |plugin: &&Plugin| plugin.hooks.contains(&kind.hook());
        plugins(tenant).iter().filter(hears).map(|plugin| (InstallationId(plugin.id), plugin.echoes))
    }

    /// All tenants, their installations, and the hooks of each.
    pub fn everybody() -> impl Iterator<Item = (TenantId, i64, &'static str)> {
        TENANTS.iter().flat_map(|(tenant, all)| {
            all.iter().flat_map(|plugin| plugin.hooks.iter().map(|hook| (TenantId(*tenant), plugin.id, *hook)))
        })
    }

    /// A drain gave its place back.
    pub fn finished(&self, process: usize, lane: &LaneKey, more: bool) {
        self.processes.borrow_mut()[process].queue.finished(lane, more, 0, 0);
    }

    /// Whether a read of an order fails now.
    pub fn read_fails(&self) -> bool {
        !self.calm.get() && self.dice.percent(5)
    }

    /// Whether a version takes longer to load now than a run waits for it.
    pub fn loads_long(&self) -> bool {
        !self.calm.get() && self.dice.percent(10)
    }

    /// Faults are over.
    pub fn is_calm(&self) -> bool {
        self.calm.get()
    }

    /// A poke may be lost: then the sweeper finds the lane.
    pub fn poke(&self, process: usize, lane: &LaneKey) {
        if self.calm.get() || !self.dice.percent(10) {
            self.processes.borrow_mut()[process].queue.poke(lane, 0);
        }
    }

    pub fn set_now(&self, now: i64) {
        self.now.set(now);
    }

    /// What is still to be done, in words.
    fn words(&self) -> String {
        let model = self.model.borrow();
        let lanes: Vec<_> = model.lane_keys().iter().map(|lane| format!("{lane:?} {:?}", model.lane(lane))).collect();
        let unanswered = self.pushes.borrow().iter().filter(|push| !push.is_over()).count();
        format!("at {}, {unanswered} callbacks unanswered, {}", self.now(), lanes.join("; "))
    }

    pub fn alive(&self) -> Vec<usize> {
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
            3 => Fate::BusyAndDone,
            _ => Fate::Done,
        }
    }
}

impl World {
    /// Whether nothing is left to do.
    fn is_over(&self) -> bool {
        let pushed = self.pushes.borrow().iter().all(Push::is_over);
        let read = !self.reconciles || self.unread().is_none();
        pushed && read && self.disaster.get() == Disaster::Never && self.model.borrow().backlog() == 0
    }

    /// Starts what the places of a process allow.
    fn start_drains(self: &Rc<Self>, process: usize, tasks: &mut Vec<Task>) {
        loop {
            let lane = self.processes.borrow_mut()[process].queue.start(|_| 2);
            let Some(lane) = lane else { break };
            let world = Rc::clone(self);
            let future: Pin<Box<dyn Future<Output = ()>>> = match self.is_held() {
                true => Box::pin(plan_alone(world, process, lane)),
                false => Box::pin(drain(world, process, lane)),
            };
            tasks.push(Task { process, future });
        }
    }
}

/// Plays one seed to its end and checks every invariant on the way.
pub fn play(seed: u64, plan: Plan) -> Played {
    let world = Rc::new(World::new(seed, plan));
    let mut tasks: Vec<Task> = Vec::new();
    // Two executors over one store, now and then: the fence must hold.
    let executors = if world.dice.percent(25) { 2 } else { 1 };
    let storm = 150 + world.dice.below(250);
    for step in 0.. {
        assert!(step < PATIENCE, "the backlog does not drain: {}", world.words());
        if step == storm {
            world.calm.set(true);
            world.held.borrow_mut().clear();
        }
        let calm = world.calm.get();
        world.go_on();
        while world.has_store() && world.alive().len() < if calm { 1 } else { executors } {
            world.start_process();
        }
        let alive = world.alive();
        tasks.retain(|task| alive.contains(&task.process));
        if tasks.is_empty() {
            world.cut_off_pushes();
        }
        for process in &alive {
            world.start_drains(*process, &mut tasks);
        }
        if calm && world.ahead.get() == 0 && tasks.is_empty() && world.is_over() {
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
    let under_way = world.shop.borrow().under_way.len();
    let process = (!alive.is_empty()).then(|| alive[world.dice.below(alive.len())]);
    match (world.dice.below(20), process) {
        (0 | 1, _) if world.ahead.get() > 0 => {
            world.ahead.set(world.ahead.get() - 1);
            world.happen();
        }
        (0 | 1, Some(process)) => tasks.extend(world.push(process)),
        (2..=5, _) if under_way > 0 => {
            let fate = world.fate();
            world.shop.borrow_mut().meet(world.dice.below(under_way), fate, world.now());
            world.announce();
        }
        (6, _) => world.advance(world.dice.below(2_000) as i64),
        (7, _) if !world.calm.get() && world.holds => hold(world),
        (8, Some(process)) if !world.calm.get() && matches!(world.plan, Plan::Drawn) && world.dice.percent(5) => {
            match world.dice.percent(30) {
                true => world.lose_power(),
                false => world.kill(process),
            }
        }
        (9, Some(process)) => {
            world.sweep(process);
            // Nothing is under way and nothing is due: the time until the next retry passes at once.
            if tasks.is_empty()
                && under_way == 0
                && let Some(due) = world.model.borrow().next_due(world.now())
            {
                world.advance(due - world.now());
            }
        }
        (11, _) if world.repairs.get() > 0 && world.has_store() => world.repair(),
        (10, Some(process)) if world.reconciles && (world.calm.get() || world.dice.percent(20)) => {
            if let Some(lane) = world.unread() {
                tasks.push(Task { process, future: Box::pin(reconcile(world.clone(), process, lane)) });
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

impl World {
    /// A person lets a parked run run again.
    fn repair(&self) {
        let parked: Vec<_> = {
            let model = self.model.borrow();
            let parked = model.runs.iter().filter(|run| run.open.state == RunState::Parked);
            parked.map(|run| (run.lane.clone(), run.open.id)).collect()
        };
        if let Some((lane, run)) = (!parked.is_empty()).then(|| parked[self.dice.below(parked.len())].clone()) {
            self.repairs.set(self.repairs.get() - 1);
            self.write_now(Write::Repair { lane, run });
        }
    }
}

/// The installations of a tenant.
fn plugins(tenant: TenantId) -> &'static [Plugin] {
    TENANTS.iter().find(|(id, _)| *id == tenant.0).map_or(&[], |(_, all)| all)
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
