//! A platform that issues numbered tokens, counts the calls and can be made to hang, refuse or fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::accounts::Accounts;
use super::secret;
use crate::{AuthorizerInfo, IssueError, Issued, Issuer};

pub(super) struct FakePlatform {
    /// Every call, as `component ticket`, `authorizer component-token refresh` or `stable appid force`.
    pub(super) calls: Mutex<Vec<String>>,
    /// What the next calls answer instead of a token, first one first.
    pub(super) failures: Mutex<Vec<IssueError>>,
    /// After so many calls, one fails so.
    failing_later: Mutex<Option<(usize, IssueError)>>,
    /// Refresh tokens that the platform does not take.
    pub(super) refused_refresh: Mutex<Vec<String>>,
    /// No component token is good enough.
    pub(super) refuse_component: Mutex<bool>,
    /// Calls of `authorizer_token` wait here; 1000 permits unless a test takes them.
    pub(super) gate: Semaphore,
    /// Calls of `component_token` wait here, in the same way.
    pub(super) component_gate: Semaphore,
    pub(super) most_at_once: AtomicUsize,
    /// Who authorized the component.
    pub(super) accounts: Accounts,
    at_once: AtomicUsize,
    issued: AtomicI64,
    /// What `stable_token` gives until forced.
    stable: Mutex<i64>,
    /// Calls of `stable_token` wait here, as at `gate`.
    pub(super) stable_gate: Semaphore,
    /// What it was last asked with.
    pub(super) stable_secret: Mutex<String>,
}

impl Default for FakePlatform {
    fn default() -> Self {
        FakePlatform {
            calls: Mutex::default(),
            failures: Mutex::default(),
            failing_later: Mutex::default(),
            refused_refresh: Mutex::default(),
            refuse_component: Mutex::default(),
            gate: Semaphore::new(1000),
            component_gate: Semaphore::new(1000),
            most_at_once: AtomicUsize::new(0),
            accounts: Accounts::default(),
            at_once: AtomicUsize::new(0),
            issued: AtomicI64::new(0),
            stable: Mutex::new(0),
            stable_gate: Semaphore::new(1000),
            stable_secret: Mutex::default(),
        }
    }
}

impl FakePlatform {
    pub(super) fn count(&self, kind: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| call.starts_with(kind)).count()
    }

    pub(super) fn last(&self) -> String {
        self.calls.lock().unwrap().last().cloned().unwrap_or_default()
    }

    pub(super) fn fail_next(&self, error: IssueError) {
        self.failures.lock().unwrap().push(error);
    }

    /// Makes the calls of `authorizer_token` wait until [`FakePlatform::open_gate`].
    pub(super) fn close_gate(&self) {
        self.gate.forget_permits(1000);
    }

    pub(super) fn open_gate(&self) {
        self.gate.add_permits(1000);
    }

    /// Lets so many calls pass first.
    pub(super) fn fail_after(&self, calls: usize, error: IssueError) {
        *self.failing_later.lock().unwrap() = Some((calls, error));
    }

    fn called(&self, call: String) -> Result<i64, IssueError> {
        self.calls.lock().unwrap().push(call);
        let mut later = self.failing_later.lock().unwrap();
        match later.take() {
            Some((0, error)) => return Err(error),
            Some((calls, error)) => *later = Some((calls - 1, error)),
            None => {}
        }
        let mut failures = self.failures.lock().unwrap();
        if !failures.is_empty() {
            return Err(failures.remove(0));
        }
        Ok(self.issued.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

#[async_trait]
impl Issuer for FakePlatform {
    async fn component_token(
        &self,
        _appid: &str,
        _secret: &SecretString,
        ticket: &SecretString,
    ) -> Result<Issued, IssueError> {
        let number = self.called(format!("component {}", ticket.expose_secret()));
        let _permit = self.component_gate.acquire().await.unwrap();
        let number = number?;
        Ok(Issued { access: secret(&format!("component-{number}")), refresh: None, expires_in: 7200 })
    }

    async fn authorizer_token(
        &self,
        component_token: &SecretString,
        _component_appid: &str,
        _authorizer_appid: &str,
        refresh: &SecretString,
    ) -> Result<Issued, IssueError> {
        let (component, refresh) = (component_token.expose_secret(), refresh.expose_secret());
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let number = self.called(format!("authorizer {component} {refresh}"));
        let _permit = self.gate.acquire().await.unwrap();
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let number = number?;
        if *self.refuse_component.lock().unwrap() {
            return Err(IssueError::Refused { code: 42001, message: "access_token expired".into() });
        }
        if self.refused_refresh.lock().unwrap().iter().any(|refused| refused == refresh) {
            return Err(IssueError::Invalid { code: 61023, message: "refresh_token is invalid".into() });
        }
        let new = secret(&format!("refresh-{number}"));
        Ok(Issued { access: secret(&format!("access-{number}")), refresh: Some(new), expires_in: 7200 })
    }

    async fn stable_token(&self, appid: &str, secret: &SecretString, force: bool) -> Result<Issued, IssueError> {
        *self.stable_secret.lock().unwrap() = secret.expose_secret().to_owned();
        let number = self.called(format!("stable {appid} {force}"));
        let _permit = self.stable_gate.acquire().await.unwrap();
        let number = number?;
        let mut stable = self.stable.lock().unwrap();
        if force || *stable == 0 {
            *stable = number;
        }
        Ok(Issued { access: super::secret(&format!("stable-{stable}")), refresh: None, expires_in: 7200 })
    }

    async fn start_push_ticket(&self, _appid: &str, _secret: &SecretString) -> Result<(), IssueError> {
        self.called("push-ticket".into()).map(|_| ())
    }

    async fn authorizer_info(&self, _: &SecretString, _: &str, appid: &str) -> Result<AuthorizerInfo, IssueError> {
        self.accounts.info(appid).await
    }
}
