//! A journal over real SQLite in a temporary folder, with a clock moved by hand.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::sync::Arc;

use fangshi_database::{Clock, Database, Digest, EventSeq, InstallationId, ManualClock, OpenOptions, RunId, TenantId};
use fangshi_journal::{
    AttemptStart, Buffer, CallKind, CallOrigin, CallRow, EffectKey, EffectState, Ending, Fence, Inputs, Intent,
    Journal, KvAllowed, LaneKey, NewEvent, NewRun, Next, Outcome, PlannedEvent, SnapshotRow, Source, Usage,
};
use fangshi_tenants::{Conduct, Credentials, Kek, NewTenant, Platform, Tenants};
use serde_json::{Value, json};

pub const ORDER: &str = "3705115058471208928";
/// In every sealed text: it must not be found in the files.
pub const CANARY: &str = "canary-13900000000";

pub struct Rig {
    pub dir: tempfile::TempDir,
    pub db: Database,
    pub tenants: Tenants,
    pub journal: Journal,
    pub hand: ManualClock,
    pub clock: Clock,
    pub tenant: TenantId,
}

impl Rig {
    pub async fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        let db = Database::open(OpenOptions::new(dir.path())).await.unwrap();
        let kek = Kek::from_bytes(&[7; 32]);
        let tenants = Tenants::open(db.clone(), kek, None, clock.clone()).await.unwrap();
        let new = NewTenant {
            platform: Platform::Weixin,
            appid: "wx0000000000000001".into(),
            user_name: Some("gh_1".into()),
            name: "shop".into(),
            credentials: Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None },
        };
        let tenant = tenants.create(new).await.unwrap().id;
        let journal = Journal::open(db.clone(), tenants.clone(), clock.clone());
        subscribe(&db, tenant).await;
        Rig { dir, db, tenants, journal, hand, clock, tenant }
    }

    pub fn lane(&self) -> LaneKey {
        LaneKey::new(self.tenant, ORDER)
    }

    pub fn event(&self, n: u8) -> NewEvent {
        NewEvent {
            tenant: self.tenant,
            event: "channels_ec_order_pay".into(),
            order_id: ORDER.into(),
            source: Source::Callback,
            ext_type: None,
            created_at: self.clock.now() / 1_000,
            received_at: self.clock.now(),
            dedup: [n; 32],
            body: json!({"Event": "channels_ec_order_pay", "order_info": {"order_id": ORDER, "note": CANARY}})
                .to_string()
                .into_bytes(),
        }
    }

    /// Records an event, enters the lane and makes one run of installation 1.
    pub async fn entered(&self, n: u8) -> (Fence, RunId, EventSeq) {
        let seq = self.journal.record_event(self.event(n)).await.unwrap().seq;
        let state = self.journal.lane(&self.lane()).await.unwrap();
        let fence = self.journal.enter(&self.lane(), state.epoch, vec![planned(seq)]).await.unwrap();
        let state = self.journal.lane(&self.lane()).await.unwrap();
        let run = state.runs.iter().find(|run| run.event == seq).unwrap().id;
        (fence, run, seq)
    }

    pub fn start(&self) -> AttemptStart {
        AttemptStart {
            version: Digest([1; 32]),
            engine: "test 1".into(),
            clock_ms: self.clock.now(),
            inputs: Inputs {
                settings: Arc::new(json!({"note": CANARY})),
                secrets: Default::default(),
                grants: BTreeSet::from(["notes".to_owned()]),
                limits: json!({}),
                seed: [5; 32],
                is_last: false,
            },
            snapshot: Some(self.order(20)),
            resumes: 0,
        }
    }

    pub fn order(&self, status: i64) -> SnapshotRow {
        let json = json!({"order_id": ORDER, "status": status, "update_time": 1_764_642_403, "user_name": CANARY});
        SnapshotRow::new(ORDER, json, self.clock.now())
    }

    pub fn begin(&self, run: RunId, number: u32) -> Buffer {
        self.journal.begin_attempt(self.tenant, run, number, &self.start()).unwrap()
    }

    pub async fn call(&self, position: u32, name: &str, kind: CallKind, answer: Option<Value>) -> CallRow {
        let request = json!({"order_id": ORDER, "text": CANARY});
        CallRow {
            position,
            name: name.into(),
            kind,
            digest: self.journal.call_digest(self.tenant, name, &request).await.unwrap(),
            request: Arc::new(request),
            result: answer.is_some().then_some("ok"),
            answer,
            snapshot: None,
            effect: None,
            origin: CallOrigin::Live,
            at_ms: self.clock.now(),
            took_ms: Some(3),
        }
    }

    pub async fn intent(&self, position: u32, nth: u32) -> Intent {
        let call = self.call(position, "notes/set-merchant-notes", CallKind::Effect, None).await;
        Intent {
            key: EffectKey { operation: call.name.clone(), digest: call.digest, nth },
            order_id: ORDER.into(),
            installation: InstallationId(1),
            request: call.request,
            before: Some(self.order(20)),
            position,
        }
    }

    pub async fn outcome(&self, intent: &Intent, state: EffectState) -> Outcome {
        let mut call = self.call(intent.position, &intent.key.operation, CallKind::Effect, Some(json!(CANARY))).await;
        call.effect = Some(intent.key.clone());
        call.result = Some(if state == EffectState::Applied { "ok" } else { "limited" });
        let (key, rid) = (intent.key.clone(), Some("rid-1".into()));
        Outcome { key, state, kept_back: false, busy: false, platform_code: Some(100_003), rid, call }
    }

    pub fn ending(&self, event: EventSeq, next: Next) -> Ending {
        Ending {
            event,
            outcome: if next == Next::Done { "done" } else { "retry-later" },
            reason: CANARY.into(),
            usage: Usage {
                fuel: 1_000,
                peak_memory: 65_536,
                host_calls: 2,
                log_bytes: 9,
                border_bytes: 90,
                wall_ms: 4,
            },
            next,
            version: Digest::of(b"version"),
            hook: "on-pay".into(),
            conduct: Conduct::Untold,
            first_at: self.clock.now(),
            kv: Vec::new(),
            kv_allowed: KvAllowed::ANY,
        }
    }

    /// How many rows each table has, and the lanes' epochs: to see that nothing was written.
    pub async fn dump(&self) -> String {
        let mut dump = String::new();
        for text in [
            "SELECT group_concat(seq || ':' || state) FROM events",
            "SELECT group_concat(order_id || ':' || epoch || ':' || entries) FROM lanes",
            "SELECT group_concat(id || ':' || state || ':' || attempts || ':' || next_at) FROM runs",
            "SELECT group_concat(run_id || ':' || number || ':' || epoch || ':' || COALESCE(outcome, '-')) FROM attempts",
            "SELECT group_concat(run_id || ':' || position || ':' || COALESCE(result, '-')) FROM calls",
            "SELECT group_concat(id || ':' || state || ':' || sends || ':' || unsure) FROM effects",
            "SELECT group_concat(id) FROM snapshots",
            "SELECT group_concat(run_id || ':' || line) FROM logs",
            "SELECT group_concat(installation_id || ':' || run_id || ':' || size) FROM kv",
        ] {
            let (rows,): (Option<String>,) = sqlx::query_as(text).fetch_one(self.db.reader()).await.unwrap();
            dump.push_str(&format!("{}\n", rows.unwrap_or_default()));
        }
        dump
    }

    pub async fn count(&self, text: &'static str) -> i64 {
        let (count,): (i64,) = sqlx::query_as(text).fetch_one(self.db.reader()).await.unwrap();
        count
    }
}

/// Installation 1 hears payments.
pub async fn subscribe(db: &Database, tenant: TenantId) {
    let written: Result<(), fangshi_database::WriteError> = db
        .writer()
        .submit(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO subscriptions (tenant_id, hook, installation_id, version, from_seq) \
                     VALUES ($1, 'on-pay', 1, $2, 0)",
                )
                .bind(tenant.0)
                .bind([1; 32].as_slice())
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await;
    written.unwrap();
}

pub fn planned(seq: EventSeq) -> PlannedEvent {
    let run = NewRun {
        installation: InstallationId(1),
        version: Digest([1; 32]),
        hook: "on-pay".into(),
        deadline_at: None,
        deadline_in_order: false,
    };
    PlannedEvent { seq, echo_of: None, absorbed_by: None, runs: vec![run] }
}
