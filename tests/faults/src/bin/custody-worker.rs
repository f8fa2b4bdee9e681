//! One process of `cargo xtask faults custody`: 64 tasks over the real custody, on a store that other processes have open
//! too. It is told by lines what to do, and holds still at a call where it is to be killed.
#![allow(missing_docs, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a harness compares tokens, and waits in real time")]

use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use clap::Parser;
use fangshi_database::{Clock, Database, OpenOptions};
use fangshi_faults::{KEY, TASKS};
use fangshi_tenants::{
    AccessToken, AuthorizerInfo, ComponentCredentials, IssueError, Issued, Issuer, Kek, TenantId, Tenants, TokenError,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::watch;

#[derive(Parser)]
struct Arguments {
    /// The data folder.
    #[arg(long)]
    data: std::path::PathBuf,
    /// The fake platform.
    #[arg(long)]
    platform: String,
    /// The component's appid; its secret comes as the first line of the input.
    #[arg(long)]
    component: String,
    /// Unix milliseconds.
    #[arg(long)]
    now: i64,
}

/// Where to hold still.
const GO: u8 = 0;
const BEFORE: u8 = 1;
const AFTER: u8 = 2;
/// After the platform's answer, until it is told to go on.
const SLOW: u8 = 3;
/// Nowhere: the platform's answer gets lost, once.
const LOST: u8 = 4;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The platform's calls, with a place to be killed on either side, and answers that are late or lost. Failures are told as the
/// host's client tells them.
struct Watched {
    client: reqwest::Client,
    base: String,
    halt: Arc<watch::Sender<u8>>,
}

impl Watched {
    async fn post(&self, path: &str, token: Option<&SecretString>, body: Value) -> Result<Value, IssueError> {
        let broken = |error: reqwest::Error| {
            let never_sent = error.is_connect();
            let text = error.without_url().to_string();
            if never_sent { IssueError::Unavailable(text) } else { IssueError::Unanswered(text) }
        };
        let mut request = self.client.post(format!("{}{path}", self.base)).json(&body);
        if let Some(token) = token {
            request = request.query(&[("component_access_token", token.expose_secret())]);
        }
        let answer: Value = request.send().await.map_err(broken)?.json().await.map_err(broken)?;
        match answer["errcode"].as_i64().unwrap_or(0) {
            0 => Ok(answer),
            code @ (61023 | 61003 | 42007) => Err(IssueError::Invalid { code, message: "refused".into() }),
            code => Err(IssueError::Refused { code, message: "refused".into() }),
        }
    }

    async fn hold(&self, place: u8, name: &str) {
        if *self.halt.borrow() == place {
            say(&format!("at {name}"));
            std::future::pending::<()>().await;
        }
    }
}

fn issued(answer: &Value, access: &str) -> Result<Issued, IssueError> {
    let text = |name: &str| answer[name].as_str().map(SecretString::from);
    let access = text(access).ok_or_else(|| IssueError::Unavailable("no token in the answer".into()))?;
    let expires_in = answer["expires_in"].as_i64().unwrap_or(0);
    Ok(Issued { access, refresh: text("authorizer_refresh_token"), expires_in })
}

#[async_trait]
impl Issuer for Watched {
    async fn component_token(
        &self,
        appid: &str,
        secret: &SecretString,
        ticket: &SecretString,
    ) -> Result<Issued, IssueError> {
        let body = json!({"component_appid": appid, "component_appsecret": secret.expose_secret(),
            "component_verify_ticket": ticket.expose_secret()});
        issued(&self.post("/cgi-bin/component/api_component_token", None, body).await?, "component_access_token")
    }

    async fn authorizer_token(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        authorizer_appid: &str,
        refresh: &SecretString,
    ) -> Result<Issued, IssueError> {
        self.hold(BEFORE, "before").await;
        let body = json!({"component_appid": component_appid, "authorizer_appid": authorizer_appid,
            "authorizer_refresh_token": refresh.expose_secret()});
        let answer = self.post("/cgi-bin/component/api_authorizer_token", Some(component_token), body).await?;
        self.hold(AFTER, "after").await;
        if *self.halt.borrow() == SLOW {
            say("at slow");
            let _ = self.halt.subscribe().wait_for(|place| *place != SLOW).await;
        }
        if *self.halt.borrow() == LOST {
            self.halt.send_replace(GO);
            say("at lost");
            return Err(IssueError::Unanswered("the answer was lost".into()));
        }
        issued(&answer, "authorizer_access_token")
    }

    async fn authorizer_info(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        authorizer_appid: &str,
    ) -> Result<AuthorizerInfo, IssueError> {
        let body = json!({"component_appid": component_appid, "authorizer_appid": authorizer_appid});
        let answer = self.post("/cgi-bin/component/api_get_authorizer_info", Some(component_token), body).await?;
        let refresh = answer["authorization_info"]["authorizer_refresh_token"].as_str().map(SecretString::from);
        Ok(AuthorizerInfo { refresh, ..AuthorizerInfo::default() })
    }

    async fn stable_token(&self, _: &str, _: &SecretString, _: bool) -> Result<Issued, IssueError> {
        Err(IssueError::Unavailable("no self-built shop here".into()))
    }
}

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_env_filter("trace").with_writer(std::io::stderr).with_ansi(false).init();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(work(Arguments::parse()))
}

async fn work(arguments: Arguments) -> Result<()> {
    let mut secret = String::new();
    std::io::stdin().read_line(&mut secret)?;
    let secret = secret.trim().to_owned();
    let (clock, hand) = Clock::manual();
    hand.set(arguments.now);
    let mut options = OpenOptions::new(&arguments.data);
    options.shared = true;
    options.busy_timeout = Duration::from_secs(30);
    let db = Database::open(options).await?;
    let component = ComponentCredentials { appid: arguments.component, appsecret: SecretString::from(secret) };
    let tenants = Tenants::open(db, Kek::from_bytes(&KEY), Some(component), clock).await?;
    let halt = Arc::new(watch::Sender::new(GO));
    let client = reqwest::Client::builder().no_proxy().build()?;
    let issuer: Arc<dyn Issuer> = Arc::new(Watched { client, base: arguments.platform, halt: Arc::clone(&halt) });
    say("ready");
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel::<String>();
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| told.send(line))
    });
    let failed = Arc::new(Mutex::new(None));
    while let Some(line) = tell.recv().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["halt", place] => drop(halt.send_replace(place_of(place))),
            ["end"] => break,
            ["clock", ms] => hand.set(ms.parse()?),
            ["round", number, tenant, expired] => {
                let (number, tenant, expired) = (number.to_owned(), tenant.parse()?, expired.parse()?);
                let (tenants, issuer, failed) = (tenants.clone(), Arc::clone(&issuer), Arc::clone(&failed));
                tokio::spawn(async move {
                    match round(&tenants, &issuer, tenant, expired).await {
                        Ok(token) => say(&format!("done {number} {} {}", token.version, token.expose())),
                        Err(error) => {
                            say(&format!("failed {number} {error:#}"));
                            *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                        }
                    }
                });
            }
            _ => anyhow::bail!("not understood: {line}"),
        }
    }
    Ok(())
}

fn place_of(name: &str) -> u8 {
    match name {
        "before" => BEFORE,
        "after" => AFTER,
        "slow" => SLOW,
        "lost" => LOST,
        _ => GO,
    }
}

/// Every task wants a token newer than the expired version, and all get the same.
async fn round(tenants: &Tenants, issuer: &Arc<dyn Issuer>, tenant: TenantId, expired: i64) -> Result<AccessToken> {
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (tenants, issuer) = (tenants.clone(), Arc::clone(issuer));
            tokio::spawn(async move { demand(&tenants, &issuer, tenant, expired).await })
        })
        .collect();
    let mut got: Option<AccessToken> = None;
    for task in tasks {
        let token = task.await??;
        if let Some(got) = &got {
            ensure!(got.version == token.version && got.expose() == token.expose(), "two tasks got two tokens");
        }
        got = Some(token);
    }
    got.context("no task")
}

async fn demand(tenants: &Tenants, issuer: &Arc<dyn Issuer>, tenant: TenantId, expired: i64) -> Result<AccessToken> {
    for _ in 0..600 {
        match tenants.custody().access_token(tenant, issuer).await {
            Ok(token) if token.version > expired => return Ok(token),
            // The platform would answer 42001.
            Ok(token) => tenants.custody().invalidate(tenant, token.version).await,
            Err(TokenError::Unavailable(_) | TokenError::Write(_) | TokenError::Sql(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("no token after 600 demands")
}
