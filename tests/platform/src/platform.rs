//! The handle: start, arrange, drive, look.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, watch};

use crate::crypto::sign;
use crate::door::Door;
use crate::faults::{Fault, Target};
use crate::ledger::Ledger;
use crate::message::{Body, PushForm};
use crate::orders::address::Address;
use crate::orders::new::NewOrder;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::shops::{Component, NewShop, Shop, ShopKind};
use crate::state::State;
use crate::steps::Step;
use crate::time::Clock;
use crate::tokens::IssuedTokens;
use crate::{courier, pages, server};

/// Why the fake can't do what a test asks.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// It can't listen or serve.
    #[error("cannot start: {0}")]
    Start(String),
    /// The thing named does not exist, or exists already.
    #[error("{0}")]
    Name(String),
    /// The order's state forbids the step.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
}

pub(crate) struct Inner {
    state: Mutex<State>,
    pub clock: Clock,
    /// For the courier: something may be due.
    pub wake: Notify,
    /// For those who wait for quiet.
    changed: Notify,
    pub stop: watch::Sender<bool>,
    /// Whether connections are refused.
    pub shut: watch::Sender<bool>,
    pub client: reqwest::Client,
}

impl Inner {
    /// Works on the state at the platform's present moment, after letting happen what is due; then wakes the courier.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State, i64) -> R) -> R {
        let result = self.quietly(work);
        self.wake.notify_one();
        self.changed.notify_waiters();
        result
    }

    /// As `with`, but wakes nobody: for looking, and for the courier itself.
    pub(crate) fn quietly<R>(&self, work: impl FnOnce(&mut State, i64) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now_ms();
        state.pass(now_ms);
        work(&mut state, now_ms)
    }

    fn look<R>(&self, work: impl FnOnce(&State, i64) -> R) -> R {
        self.quietly(|state, now_ms| work(state, now_ms))
    }

    async fn until(&self, met: impl Fn(&State, i64) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.look(&met) {
                return;
            }
            // The nap is for conditions that a scaled clock meets without any change.
            let _ = tokio::time::timeout(Duration::from_millis(50), changed).await;
        }
    }

    pub(crate) async fn advance_to_ms(&self, target: i64) {
        loop {
            self.quiet().await;
            let next = self.look(|state, _| [state.outbox.next_due(), state.next_timer()].into_iter().flatten().min());
            match next.filter(|ms| *ms <= target) {
                Some(ms) => self.clock.jump_to(ms),
                None => break,
            }
            self.with(|_, _| ());
        }
        self.clock.jump_to(target);
        self.with(|_, _| ());
        self.quiet().await;
    }

    async fn quiet(&self) {
        self.until(|state, now_ms| state.outbox.is_quiet(now_ms)).await;
    }

    pub(crate) fn set_component_urls(&self, authorization: &str, message: &str) {
        self.with(|state, now_ms| {
            state.component.authorization_url = Some(authorization.to_owned());
            state.component.message_url = Some(message.to_owned());
            state.start_tickets(now_ms);
        });
    }

    pub(crate) fn point_at(&self, host: &str) {
        let host = host.trim_end_matches('/');
        self.with(|state, _| {
            for shop in state.shops.values_mut().filter(|s| s.kind == ShopKind::SelfBuilt) {
                shop.callback_url = Some(callback_url(host, &shop.appid));
            }
            state.host = Some(host.to_owned());
        });
        self.set_component_urls(
            &format!("{host}/callback/weixin/component"),
            &format!("{host}/callback/weixin/$APPID$"),
        );
    }

    pub(crate) fn add_shop(&self, new: NewShop) -> Result<Shop, PlatformError> {
        self.with(|state, now_ms| {
            let number = state.shops.len() + 1;
            let mut shop = Shop::generate(new, &mut state.dice, number, now_ms / 1000);
            if shop.kind == ShopKind::SelfBuilt && shop.callback_url.is_none() {
                shop.callback_url = state.host.as_deref().map(|host| callback_url(host, &shop.appid));
            }
            if state.shops.contains_key(&shop.appid) {
                return Err(PlatformError::Name(format!("shop {} exists already", shop.appid)));
            }
            if shop.kind == ShopKind::Authorized && shop.authorized {
                state.tokens.new_refresh(&mut state.dice, &shop.appid, true);
            }
            state.shops.insert(shop.appid.clone(), shop.clone());
            Ok(shop)
        })
    }
}

/// Stops the servers when the last handle is gone.
struct Guard(Arc<Inner>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.stop.send_replace(true);
    }
}

/// A running fake WeChat Store. Clones share it; it stops when the last is dropped.
#[derive(Clone)]
pub struct Platform {
    inner: Arc<Inner>,
    addr: SocketAddr,
    _guard: Arc<Guard>,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Platform {
    /// Starts to listen and to push.
    pub async fn start(settings: Settings) -> Result<Platform, PlatformError> {
        // Refused if the process has a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed = |e: &dyn std::fmt::Display| PlatformError::Start(e.to_string());
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| failed(&e))?;
        let listener = tokio::net::TcpListener::bind(settings.listen).await.map_err(|e| failed(&e))?;
        let addr = listener.local_addr().map_err(|e| failed(&e))?;
        let inner = Arc::new(Inner {
            clock: Clock::new(settings.time),
            state: Mutex::new(State::new(settings)),
            wake: Notify::new(),
            changed: Notify::new(),
            stop: watch::Sender::new(false),
            shut: watch::Sender::new(false),
            client,
        });
        tokio::spawn(courier::run(Arc::clone(&inner)));
        let door = Door::new(listener, addr, inner.shut.subscribe());
        tokio::spawn(server::serve(door, Arc::clone(&inner)));
        Ok(Platform { _guard: Arc::new(Guard(Arc::clone(&inner))), inner, addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`: what a host takes for `https://api.weixin.qq.com`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The authorization page for computers, without its query.
    pub fn pc_page(&self) -> String {
        format!("{}{}", self.base_url(), pages::PC)
    }

    /// The authorization page for phones, without its query.
    pub fn h5_page(&self) -> String {
        format!("{}{}", self.base_url(), pages::H5)
    }

    /// Stops listening and pushing.
    pub fn stop(&self) {
        self.inner.stop.send_replace(true);
    }

    /// Changes the settings (but for seed, time and listen, which are fixed at the start).
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.inner.with(|state, _| change(&mut state.settings));
    }

    // ---- time

    /// Unix seconds of the platform.
    pub fn now(&self) -> i64 {
        self.inner.clock.now_ms() / 1000
    }

    /// Lets time pass: every retry and timer on the way happens at its own moment, and is answered before time goes
    /// on.
    pub async fn advance(&self, by: Duration) {
        let target = self.inner.clock.now_ms() + i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.inner.advance_to_ms(target).await;
    }

    /// As [`Platform::advance`], to these unix seconds; never back.
    pub async fn advance_to(&self, unix_s: i64) {
        self.inner.advance_to_ms(unix_s * 1000).await;
    }

    /// Waits until nothing is due or in flight.
    pub async fn quiet(&self) {
        self.inner.quiet().await;
    }

    /// Waits until no push waits for a retry either (with manual time: only if none does).
    pub async fn drained(&self) {
        self.inner.until(|state, _| state.outbox.is_drained()).await;
    }

    // ---- component and shops

    /// The third-party platform.
    pub fn component(&self) -> Component {
        self.inner.look(|state, _| state.component.clone())
    }

    /// Sets the component's two URLs and pushes a first ticket; `$APPID$` in the second stands for the shop.
    pub fn set_component_urls(&self, authorization: &str, message: &str) {
        self.inner.set_component_urls(authorization, message);
    }

    /// Sets a self-built shop's URL.
    pub fn set_callback_url(&self, appid: &str, url: &str) -> Result<(), PlatformError> {
        self.inner.with(|state, _| match state.shops.get_mut(appid) {
            Some(shop) => {
                shop.callback_url = Some(url.to_owned());
                Ok(())
            }
            None => Err(no_shop(appid)),
        })
    }

    /// Points everything at a host with the routes `/callback/weixin/component` and `/callback/weixin/{appid}`,
    /// shops added later included.
    pub fn point_at(&self, host: &str) {
        self.inner.point_at(host);
    }

    /// Pushes a new ticket now.
    pub fn push_ticket(&self) -> u64 {
        self.inner.with(|state, now_ms| state.push_ticket(now_ms))
    }

    /// Adds a shop. An authorized one is authorized already, silently, as through the service market, unless
    /// [`NewShop::unauthorized`] says otherwise.
    pub fn add_shop(&self, new: NewShop) -> Result<Shop, PlatformError> {
        self.inner.add_shop(new)
    }

    /// A shop.
    pub fn shop(&self, appid: &str) -> Option<Shop> {
        self.inner.look(|state, _| state.shops.get(appid).cloned())
    }

    /// All shops.
    pub fn shops(&self) -> Vec<Shop> {
        self.inner.look(|state, _| state.shops.values().cloned().collect())
    }

    /// Issues tokens without a call, to be planted in a host.
    pub fn issue_tokens(&self, appid: &str) -> Result<IssuedTokens, PlatformError> {
        self.inner.with(|state, now_ms| state.issue_tokens(appid, now_ms).ok_or_else(|| no_shop(appid)))
    }

    /// Every secret that was given out so far: access, refresh and component tokens, tickets, pre-auth and authorization
    /// codes. For tests that search for them.
    pub fn secrets_given_out(&self) -> Vec<String> {
        self.inner.look(|state, _| state.tokens.given_out().to_vec())
    }

    /// A ticket without a push, to be planted in a host.
    pub fn issue_ticket(&self) -> String {
        self.inner.with(|state, now_ms| {
            let life_s = state.settings.ticket_life_s;
            state.tokens.new_ticket(&mut state.dice, life_s, now_ms)
        })
    }

    /// Ends a shop's access tokens now: calls get 42001. Gives how many were alive.
    pub fn expire_tokens(&self, appid: &str) -> usize {
        self.inner.with(|state, now_ms| state.tokens.expire(appid, now_ms))
    }

    /// Ends the component's tokens now.
    pub fn expire_component_token(&self) -> usize {
        self.expire_tokens("")
    }

    /// The merchant changed the password: 42007 until authorized again.
    pub fn change_password(&self, appid: &str) {
        self.inner.with(|state, _| state.tokens.void(appid));
    }

    /// The merchant authorizes (again) with these sets; gives the authorization code, and pushes the event if
    /// something changed.
    pub fn authorize(&self, appid: &str, sets: &[u16], pre_auth_code: &str) -> Result<String, PlatformError> {
        let sets: BTreeSet<u16> = sets.iter().copied().collect();
        self.inner
            .with(|state, now_ms| state.authorize(appid, sets, pre_auth_code, now_ms).ok_or_else(|| no_shop(appid)))
    }

    /// The merchant takes the authorization back.
    pub fn revoke(&self, appid: &str) -> bool {
        self.inner.with(|state, now_ms| state.revoke(appid, now_ms))
    }

    /// The GET check that the console makes when a self-built shop's URL is saved: whether the echostr came back
    /// unchanged.
    pub async fn check_url(&self, appid: &str) -> Result<bool, PlatformError> {
        let (url, token, timestamp, nonce, echo) = self.inner.with(|state, now_ms| {
            let shop = state.shops.get(appid).ok_or_else(|| no_shop(appid))?;
            let url =
                shop.callback_url.clone().ok_or_else(|| PlatformError::Name(format!("shop {appid} has no URL")))?;
            let token = shop.token.clone();
            Ok::<_, PlatformError>((
                url,
                token,
                (now_ms / 1000).to_string(),
                state.dice.digits(10),
                state.dice.digits(19),
            ))
        })?;
        let signature = sign(&[&token, &timestamp, &nonce]);
        let mark = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{mark}signature={signature}&timestamp={timestamp}&nonce={nonce}&echostr={echo}");
        let Ok(answer) = self.inner.client.get(url).timeout(Duration::from_secs(5)).send().await else {
            return Ok(false);
        };
        let right = answer.status() == 200;
        Ok(right && answer.bytes().await.is_ok_and(|body| body == echo.as_bytes()))
    }

    /// The code that the last SMS to this phone held.
    pub fn sms_code(&self, appid: &str, mobile: &str) -> Option<String> {
        self.inner.look(|state, _| state.phones.code(appid, mobile))
    }

    // ---- orders

    /// Places an order: status 10, with its event.
    pub fn add_order(&self, appid: &str, new: NewOrder) -> Result<String, PlatformError> {
        self.inner.with(|state, now_ms| state.place(appid, new, now_ms)).map_err(PlatformError::Name)
    }

    /// Loads an order (the `order` object of getorder) as it is, without any event; `address` is the recipient in
    /// clear.
    pub fn load_order(&self, appid: &str, order: Value, address: Address) -> Result<String, PlatformError> {
        self.inner.with(|state, _| state.load(appid, order, address)).map_err(PlatformError::Name)
    }

    /// Takes one step of an order's life.
    pub fn drive(&self, order_id: &str, step: Step) -> Result<(), PlatformError> {
        Ok(self.inner.with(|state, now_ms| state.step(order_id, &step, now_ms))?)
    }

    /// The main number that the next allocation for this order gives.
    pub fn preset_virtual_number(&self, order_id: &str, main_number: &str) -> Result<(), PlatformError> {
        Ok(self.inner.with(|state, _| {
            state.order(order_id).map(|order| order.next_main_number = Some(main_number.to_owned()))
        })?)
    }

    /// The `order` object as getorder shows it now.
    pub fn order(&self, order_id: &str) -> Option<Value> {
        self.inner.look(|state, now_ms| state.orders.get(order_id).map(|o| o.shown(now_ms)))
    }

    /// Ids of a shop's orders.
    pub fn orders_of(&self, appid: &str) -> Vec<String> {
        self.inner.look(|state, _| state.orders.values().filter(|o| o.appid == appid).map(|o| o.id.clone()).collect())
    }

    // ---- pushes, faults, ledger

    /// Spells the shop's next push this way; asked several times, one push each.
    pub fn spell_next(&self, appid: &str, form: PushForm) {
        self.inner.with(|state, _| state.spell_next.entry(appid.to_owned()).or_default().push_back(form));
    }

    /// Pushes any message to a shop's URL, encrypted as all others; gives its id in the ledger.
    pub fn push_text(&self, appid: &str, name: &str, text: &str, body: Body) -> Result<u64, PlatformError> {
        self.inner.with(|state, now_ms| {
            state.raise_text(appid, name, text.to_owned(), body, now_ms).ok_or_else(|| no_shop(appid))
        })
    }

    /// The next `times` calls that the target names go wrong.
    pub fn fail_next(&self, target: Target, times: u64, fault: Fault) {
        self.inner.with(|state, _| state.faults.add(target, times, fault));
    }

    /// Refuses connections until [`Platform::heal`]; those that are open break at their next call.
    pub fn refuse_connections(&self) {
        self.fail_next(Target::default(), u64::MAX, Fault::Reset { applied: false });
        self.inner.shut.send_replace(true);
    }

    /// Forgets the faults that are still due.
    pub fn heal(&self) {
        self.inner.with(|state, _| state.faults.clear());
        self.inner.shut.send_replace(false);
    }

    /// A copy of the ledger.
    pub fn ledger(&self) -> Ledger {
        self.inner.look(|state, _| Ledger { calls: state.calls.clone(), pushes: state.outbox.pushes().to_vec() })
    }

    /// How many calls and pushes the ledger holds.
    pub fn ledger_len(&self) -> (usize, usize) {
        self.inner.look(|state, _| (state.calls.len(), state.outbox.pushes().len()))
    }

    /// The ledger without its first calls and pushes (see [`Platform::ledger_len`]).
    pub fn ledger_after(&self, calls: usize, pushes: usize) -> Ledger {
        self.inner.look(|state, _| Ledger {
            calls: state.calls.iter().skip(calls).cloned().collect(),
            pushes: state.outbox.pushes().iter().skip(pushes).cloned().collect(),
        })
    }
}

fn callback_url(host: &str, appid: &str) -> String {
    format!("{host}/callback/weixin/{appid}")
}

fn no_shop(appid: &str) -> PlatformError {
    PlatformError::Name(format!("no shop {appid} (of that kind)"))
}
