//! Every choice that the fake leaves open, with what it stands for on the platform page.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::message::PushForm;
use crate::time::TimeSource;

/// How the platform behaves. Change it while it runs with `Platform::configure` (all but `seed`, `time` and `listen`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// The seed of everything random.
    pub seed: u64,
    /// Where time comes from.
    pub time: TimeSource,
    /// Where to listen; port 0 takes a free one.
    pub listen: std::net::SocketAddr,

    /// How pushes are spelt.
    pub form: FormChoice,
    /// Whether a repeated push repeats timestamp, nonce and ciphertext (page 8.2: unconfirmed).
    pub retry_envelope: RetryEnvelope,
    /// Which clock the `timestamp` of the query shows; `CreateTime` is always the platform's.
    pub envelope_time: EnvelopeTime,
    /// Real time that a receiver has to answer a push (page 1.5: 5 s).
    pub push_deadline: Duration,
    /// At most so many pushes at once; 1 makes their order strict.
    pub concurrent_pushes: usize,
    /// Lost, doubled and late pushes.
    pub push_faults: PushFaults,

    /// Life of component, authorizer and stable tokens in seconds (page 2.1: 7200).
    pub token_life_s: i64,
    /// How long a component token stays good after its successor was issued (unconfirmed; 5 min as for 公众号).
    pub component_overlap_s: i64,
    /// The same for authorizer tokens (unconfirmed; none is the worst case).
    pub authorizer_overlap_s: i64,
    /// What a refresh does to the refresh token (page 8.3: unconfirmed).
    pub refresh_rotation: RefreshRotation,
    /// Seconds between pushes of `component_verify_ticket`; none: only on demand.
    pub ticket_every_s: Option<i64>,
    /// Validity of a pre-auth code in seconds (page 2.1: 600 or 1800).
    pub pre_auth_life_s: i64,
    /// Validity of an authorization code in seconds (page 2.1: as given, example 600). 0: it is over at once.
    pub code_life_s: i64,
    /// What goes wrong after a merchant authorized.
    pub authorization_faults: AuthorizationFaults,
    /// Validity of a ticket in seconds (page 2.1: 12 h).
    pub ticket_life_s: i64,

    /// Calls a day by path, per shop; beyond is 45009. Empty: none.
    pub daily_quota: BTreeMap<String, u64>,
    /// Calls a minute by path, per shop; beyond is 45011. Empty: none.
    pub minute_quota: BTreeMap<String, u64>,
    /// Changes of one order within so many platform milliseconds get 100003.
    pub change_gap_ms: i64,
    /// Real time that each call takes; a second change of an order meanwhile gets 100003.
    pub latency: Duration,
    /// For so many seconds after payment `getorder` still shows status 10 (page 0.8).
    pub status_lag_s: i64,

    /// Whether a merchant's address change asks the buyer first (page 4, row 6: since Dec 2025).
    pub address_negotiation: bool,
    /// After so many seconds without the buyer's answer the change lapses with type 18 (unconfirmed).
    pub proposal_life_s: i64,
    /// A buyer's change needs approval if the order is older (page 4, row 8: 6 h).
    pub free_change_s: i64,
    /// A buyer's request is accepted by itself after so many seconds (page 4, row 8: 12 h).
    pub auto_accept_s: i64,
    /// Life of a virtual number in seconds (seed 002: exactly 30 days), and of each extension (unconfirmed).
    pub virtual_number_life_s: i64,
    /// Extensions of a virtual number (page 8.7: unconfirmed, example 3).
    pub max_extensions: i64,
    /// Phones a shop can register (number unconfirmed); beyond is 10021204.
    pub max_phones: usize,
    /// Seconds that the carrier reviews an added phone (status 3 until then).
    pub phone_review_s: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            time: TimeSource::real(),
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
            form: FormChoice::Documented,
            retry_envelope: RetryEnvelope::BySeed,
            envelope_time: EnvelopeTime::Platform,
            push_deadline: Duration::from_secs(5),
            concurrent_pushes: 64,
            push_faults: PushFaults::default(),
            token_life_s: 7200,
            component_overlap_s: 300,
            authorizer_overlap_s: 0,
            refresh_rotation: RefreshRotation::Never,
            ticket_every_s: Some(600),
            pre_auth_life_s: 600,
            code_life_s: 600,
            authorization_faults: AuthorizationFaults::default(),
            ticket_life_s: 12 * 3600,
            daily_quota: BTreeMap::new(),
            minute_quota: BTreeMap::new(),
            change_gap_ms: 0,
            latency: Duration::ZERO,
            status_lag_s: 0,
            address_negotiation: true,
            proposal_life_s: 12 * 3600,
            free_change_s: 6 * 3600,
            auto_accept_s: 12 * 3600,
            virtual_number_life_s: 30 * 86_400,
            max_extensions: 3,
            max_phones: 20,
            phone_review_s: 600,
        }
    }
}

impl Settings {
    /// Manual time from these unix seconds; all else by default.
    pub fn manual(start_s: i64) -> Self {
        Settings { time: TimeSource::Manual(start_s), ..Settings::default() }
    }
}

/// Which spelling a push gets, unless `Platform::spell_next` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormChoice {
    /// XML to authorized shops, JSON to self-built ones, ids as bare numbers.
    Documented,
    /// Always this one.
    Fixed(PushForm),
    /// Any of the eight, drawn per push.
    BySeed,
}

/// What a repeated push repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryEnvelope {
    /// The same bytes again.
    Same,
    /// New timestamp, nonce and ciphertext.
    Fresh,
    /// One of the two, drawn per push.
    BySeed,
}

/// Which clock signs pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeTime {
    /// The platform's.
    Platform,
    /// The wall's: for a receiver that checks timestamps against it while the platform plays the past.
    Wall,
}

/// What goes wrong after a merchant authorized. To spend a code and lose the answer: a fault of `api_query_auth` that is
/// applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationFaults {
    /// No event is pushed.
    pub drop_event: bool,
    /// The event is pushed so many platform seconds late.
    pub delay_event_s: i64,
    /// The platform's page does not send the browser back.
    pub no_redirect: bool,
}

/// What `api_authorizer_token` does to the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRotation {
    /// Gives the same one back.
    Never,
    /// Gives a new one; the old one stays good.
    KeepsOld,
    /// Gives a new one; the old one gets 61023.
    KillsOld,
}

/// Chances, 0.0 to 1.0, that a push goes wrong on the platform's side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PushFaults {
    /// Never sent (page 7: "events not received").
    pub drop: f64,
    /// Sent twice, as two pushes.
    pub duplicate: f64,
    /// Sent late, overtaken by others.
    pub reorder: f64,
    /// The most that a late push waits, in platform seconds.
    pub reorder_within_s: i64,
}
