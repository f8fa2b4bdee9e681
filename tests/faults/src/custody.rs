//! Three processes on one store, 64 tasks in each, demand the same expired token, round after round; in some rounds the one
//! that refreshes is killed (-9) right before or right after the platform's call, now and then the one after it as well. A
//! refresh kills the old refresh token on this platform: what a kill takes away only the platform can give back. Other rounds
//! lose an answer without a kill, or bring it when the lease has run out and another process has refreshed.
//!
//! The platform's ledger and the store are held against each other: refresh calls that issued a token = token lives + kills
//! and losses that fell between a call and its commit; no two calls overlap; the refresh token still works; no token is in a file.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fangshi_database::{Clock, Database, OpenOptions};
use fangshi_faults::KEY;
use fangshi_harness::Figures;
use fangshi_platform::{NewShop, RefreshRotation, Settings};
use fangshi_tenants::{ComponentCredentials, Credentials, Kek, NewTenant, Platform, TenantId, Tenants};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use secrecy::SecretString;

const PROCESSES: usize = 3;
/// Every so many rounds a process is killed.
const KILL_EVERY: usize = 5;
/// A lease of a killed process ends within so many milliseconds of the injected clock.
const LEASE_MS: i64 = 30_000;
const REFRESH: &str = "/cgi-bin/component/api_authorizer_token";
const INFO: &str = "/cgi-bin/component/api_get_authorizer_info";
/// Refresh calls that a loss may cost: the newest refresh token and the one before it are dead.
const REFUSED_PER_LOSS: i64 = 2;
/// How long a round may take in real time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the process that refreshes is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kill {
    Before,
    /// Between the platform's answer and the commit: the refresh token that it brought is lost.
    After,
    /// Not killed: the platform's answer is lost. The lease is kept, and only its end lets anybody ask again.
    Lost,
    /// Not killed: the answer comes after the lease has ended, and another process has refreshed.
    Slow,
}

/// The kills of one round, one version of the token: each hits whoever refreshes then.
const PLANS: [&[Kill]; 8] = [
    &[Kill::Before],
    &[Kill::After],
    &[Kill::After, Kill::After],
    &[Kill::Before, Kill::After],
    &[Kill::After, Kill::Before],
    &[Kill::Lost],
    &[Kill::Lost, Kill::After],
    &[Kill::Slow],
];

impl Kill {
    fn place(self) -> &'static str {
        match self {
            Kill::Before => "before",
            Kill::After => "after",
            Kill::Lost => "lost",
            Kill::Slow => "slow",
        }
    }
}

/// What a process said.
struct Said {
    process: usize,
    life: usize,
    line: String,
}

struct Worker {
    child: Child,
    input: ChildStdin,
    life: usize,
}

struct Scene<'a> {
    folder: &'a Path,
    platform: fangshi_platform::Platform,
    now: i64,
    workers: Vec<Worker>,
    tell: Sender<Said>,
    told: Receiver<Said>,
    lives: usize,
    tokens: Vec<String>,
}

pub fn run(rounds: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let mut dice = StdRng::seed_from_u64(seed);
    let settings = Settings {
        seed,
        refresh_rotation: RefreshRotation::KillsOld,
        // So that calls which are not kept apart would overlap.
        latency: Duration::from_millis(3),
        ticket_every_s: None,
        ..Settings::default()
    };
    let platform = runtime.block_on(fangshi_platform::Platform::start(settings))?;
    let shop = platform.add_shop(NewShop::authorized())?;
    let (tenant, now) = runtime.block_on(prepare(folder.path(), &platform, &shop))?;

    let (tell, told) = channel();
    let mut scene =
        Scene { folder: folder.path(), platform, now, workers: Vec::new(), tell, told, lives: 0, tokens: Vec::new() };
    for process in 0..PROCESSES {
        let worker = scene.start(process)?;
        scene.workers.push(worker);
    }
    let (mut before, mut between, mut in_a_row, mut late) = (0, 0, 0, 0);
    let mut version = 1;
    for round in 0..rounds {
        let plan = match round % KILL_EVERY {
            n if n == KILL_EVERY - 1 => PLANS[dice.random_range(0..PLANS.len())],
            _ => &[],
        };
        let count = |of: Kill| plan.iter().filter(|kill| **kill == of).count();
        before += count(Kill::Before);
        between += count(Kill::After) as i64;
        late += (count(Kill::Lost) + count(Kill::Slow)) as i64;
        in_a_row += usize::from(count(Kill::After) > 1);
        scene.platform.expire_tokens(&shop.appid);
        version = scene.round(round, tenant, version, plan).with_context(|| format!("round {round}, seed {seed}"))?;
        if (round + 1) % 100 == 0 {
            println!("round {}: version {version}, killed {before} before and {between} after the call", round + 1);
        }
    }
    // A process that knows nothing refreshes once more: the refresh token that is stored works.
    scene.stop()?;
    let last = scene.start(0)?;
    scene.workers.push(last);
    scene.platform.expire_tokens(&shop.appid);
    let lost = usize::from(scene.round(rounds, tenant, version, &[]).is_err());
    scene.stop()?;

    let ledger = scene.platform.ledger();
    let calls: Vec<_> = ledger.calls.iter().filter(|call| call.path == REFRESH).collect();
    let overlapping = calls.windows(2).filter(|pair| pair[1].began < pair[0].ended).count();
    // The first life is the planted refresh token's, version 1, which had no access token.
    let lives = runtime.block_on(stored_version(folder.path()))? - 1;
    let issued = calls.iter().filter(|call| call.issued.is_some()).count() as i64;
    let refused = calls.len() as i64 - issued;
    let recoveries = ledger.calls.iter().filter(|call| call.path == INFO).count();
    let unexplained =
        (issued - (lives + between + late)).abs() + (refused - REFUSED_PER_LOSS * (between + late)).max(0);
    let canaries = scene.canaries(&shop.appid, rounds)?;

    figures.add("refresh_calls", issued, "calls");
    figures.add("refresh_calls_refused", refused, "calls");
    figures.add("token_lives", lives, "lives");
    figures.add("kills_before_call", before, "kills");
    figures.add("kills_between_call_and_commit", between, "kills");
    figures.add("answers_lost_or_late", late, "answers");
    figures.add("versions_killed_twice_after_the_call", in_a_row, "versions");
    figures.add("refresh_tokens_recovered", recoveries, "tokens");
    figures.add("refresh_calls_overlapping", overlapping, "calls");
    figures.add("refresh_calls_unexplained", unexplained, "calls");
    figures.add("refresh_tokens_lost", lost, "tokens");
    figures.add("canaries_found", canaries, "canaries");
    ensure!(overlapping == 0 && unexplained == 0, "refreshes overlap or are unexplained (seed {seed})");
    ensure!(lost == 0 && canaries == 0, "a refresh token was lost or a token was found in a file (seed {seed})");
    Ok(())
}

/// The store with one shop, whose refresh token is planted.
async fn prepare(
    folder: &Path,
    platform: &fangshi_platform::Platform,
    shop: &fangshi_platform::Shop,
) -> Result<(TenantId, i64)> {
    let (clock, hand) = Clock::manual();
    let now = platform.now() * 1000;
    hand.set(now);
    let db = Database::open(OpenOptions::new(folder)).await?;
    let component = platform.component();
    let credentials =
        ComponentCredentials { appid: component.appid.clone(), appsecret: SecretString::from(component.appsecret()) };
    let tenants = Tenants::open(db.clone(), Kek::from_bytes(&KEY), Some(credentials), clock).await?;
    tenants.custody().keep_ticket(SecretString::from(platform.issue_ticket()), platform.now()).await?;
    let issued = platform.issue_tokens(&shop.appid)?;
    let new = NewTenant {
        platform: Platform::Weixin,
        appid: shop.appid.clone(),
        user_name: Some(shop.user_name.clone()),
        name: "a shop".into(),
        credentials: Credentials::Authorized {
            access_token: None,
            expires_in: None,
            refresh_token: issued.refresh().map(SecretString::from),
        },
    };
    let tenant = tenants.create(new).await?.id;
    drop(tenants);
    db.close().await;
    Ok((tenant, now))
}

async fn stored_version(folder: &Path) -> Result<i64> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("fangshi.db")).read_only(true);
    let pool = sqlx::SqlitePool::connect_with(options).await?;
    Ok(sqlx::query_scalar("SELECT version FROM tokens WHERE kind = 'access'").fetch_one(&pool).await?)
}

impl Scene<'_> {
    fn start(&mut self, process: usize) -> Result<Worker> {
        self.lives += 1;
        let life = self.lives;
        let component = self.platform.component();
        let program = std::env::current_exe()?.with_file_name("custody-worker");
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("worker.log"))?;
        let mut child = Command::new(program)
            .arg("--data")
            .arg(self.folder)
            .args(["--platform", &self.platform.base_url(), "--component", &component.appid])
            .args(["--now", &self.now.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("custody-worker: build the workspace's programs first")?;
        let mut input = child.stdin.take().context("no input")?;
        writeln!(input, "{}", component.appsecret())?;
        let output = child.stdout.take().context("no output")?;
        let tell = self.tell.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = tell.send(Said { process, life, line });
            }
        });
        // What the others say meanwhile is heard afterwards.
        let mut meanwhile = Vec::new();
        loop {
            let said = self.told.recv_timeout(PATIENCE).context("a process does not start")?;
            if said.life == life && said.line == "ready" {
                break;
            }
            meanwhile.push(said);
        }
        meanwhile.into_iter().try_for_each(|said| self.tell.send(said))?;
        Ok(Worker { child, input, life })
    }

    fn all(&mut self, line: &str) -> Result<()> {
        for worker in &mut self.workers {
            writeln!(worker.input, "{line}")?;
        }
        Ok(())
    }

    /// One expired token, demanded by all; gives the version that all got. `plan`: whoever refreshes is killed there, one
    /// after the other.
    fn round(&mut self, number: usize, tenant: TenantId, expired: i64, plan: &[Kill]) -> Result<i64> {
        let demand = format!("round {number} {tenant} {expired}");
        let mut plan = plan.iter();
        let halt = |kill: Option<&Kill>| format!("halt {}", kill.map_or("go", |kill| kill.place()));
        // The process whose answer is late.
        let mut late: Option<usize> = None;
        self.all(&halt(plan.next()))?;
        self.all(&demand)?;
        let mut got: Vec<Option<i64>> = vec![None; self.workers.len()];
        while got.iter().any(Option::is_none) {
            let said = self.told.recv_timeout(PATIENCE).context("a round does not end")?;
            if self.workers[said.process].life != said.life {
                continue;
            }
            let words: Vec<&str> = said.line.splitn(4, ' ').collect();
            match words[..] {
                ["at", place @ ("lost" | "slow")] => {
                    self.now += LEASE_MS;
                    let lines = format!("{}\nclock {}", halt(plan.next()), self.now);
                    late = (place == "slow").then_some(said.process);
                    for (process, worker) in self.workers.iter_mut().enumerate() {
                        if late != Some(process) {
                            writeln!(worker.input, "{lines}")?;
                        }
                    }
                }
                ["at", _] => {
                    // It is between two instructions of ours: this is the moment.
                    self.workers[said.process].child.kill()?;
                    self.workers[said.process].child.wait()?;
                    self.now += LEASE_MS;
                    let next = halt(plan.next());
                    let clock = format!("clock {}", self.now);
                    for (process, worker) in self.workers.iter_mut().enumerate() {
                        if process != said.process {
                            // Where the next one is killed comes first: the lease ends with the clock.
                            writeln!(worker.input, "{next}\n{clock}")?;
                        }
                    }
                    let mut again = self.start(said.process)?;
                    writeln!(again.input, "{next}\n{demand}")?;
                    self.workers[said.process] = again;
                }
                ["done", of, version, token] if of == number.to_string() => {
                    got[said.process] = Some(version.parse()?);
                    if let Some(process) = late.take() {
                        writeln!(self.workers[process].input, "clock {}\nhalt go", self.now)?;
                    }
                    self.tokens.push(token.to_owned());
                }
                _ => bail!("process {} said {}", said.process, words[..2.min(words.len())].join(" ")),
            }
        }
        let versions: Vec<i64> = got.into_iter().flatten().collect();
        ensure!(versions.iter().all(|version| *version == expired + 1), "{versions:?} after version {expired}");
        ensure!(plan.next().is_none(), "not all processes that were to be killed were");
        self.tokens.dedup();
        Ok(expired + 1)
    }

    /// Ends all processes.
    fn stop(&mut self) -> Result<()> {
        self.all("end")?;
        for mut worker in self.workers.drain(..) {
            worker.child.wait()?;
        }
        Ok(())
    }

    /// Tokens, tickets and secrets that are found in a file: the store's, and the processes' logs at trace level.
    fn canaries(&self, appid: &str, rounds: usize) -> Result<usize> {
        let issued = self.platform.issue_tokens(appid)?;
        let mut canaries = self.tokens.clone();
        // What they begin with, whichever it is.
        canaries.extend(["refreshtoken@@@", "ticket@@@"].map(str::to_owned));
        canaries.push(self.platform.component().appsecret().to_owned());
        // The component's tokens among them.
        let given_out = self.platform.secrets_given_out();
        ensure!(!self.platform.ledger().calls_of("api_component_token").is_empty(), "no component token was given out");
        canaries.extend(given_out);
        ensure!(
            issued.refresh().is_some_and(|refresh| refresh.starts_with("refreshtoken@@@")),
            "not what to search for"
        );
        ensure!(canaries.len() > rounds, "{} canaries are too few", canaries.len());
        let mut found = 0;
        for entry in std::fs::read_dir(self.folder)? {
            let path = entry?.path();
            if !path.is_file() {
                continue;
            }
            let bytes = std::fs::read(&path)?;
            let text = String::from_utf8_lossy(&bytes);
            for canary in canaries.iter().filter(|canary| text.contains(canary.as_str())) {
                println!("{} holds a token of {} characters", path.display(), canary.len());
                found += 1;
            }
        }
        Ok(found)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
