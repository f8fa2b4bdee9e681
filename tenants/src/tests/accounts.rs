//! The platform's side of authorizations: accounts, codes that work once, a list in pages, calls that are cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::platform::FakePlatform;
use super::secret;
use crate::{Authorization, Authorizer, AuthorizerInfo, AuthorizerPage, IssueError, ListedAuthorizer, PreAuthCode};

/// One account.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) granted: bool,
    pub(super) shop: bool,
    pub(super) sets: BTreeSet<u16>,
    pub(super) refresh: String,
    pub(super) auth_time: i64,
}

/// Where a call is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It never arrives, and never returns.
    Before,
    /// It is carried out, and never returns.
    After,
}

#[derive(Default)]
pub(super) struct Accounts {
    pub(super) by_appid: Mutex<BTreeMap<String, Account>>,
    /// Codes that are still good, with whose they are.
    pub(super) codes: Mutex<BTreeMap<String, String>>,
    /// Calls about accounts so far.
    pub(super) calls: Mutex<Vec<String>>,
    /// The call of this number, from 0, is cut off.
    pub(super) cut: Mutex<Option<(usize, Cut)>>,
    /// Calls whose name begins so get no answer, although they are carried out.
    pub(super) unanswered: Mutex<Vec<&'static str>>,
    /// What is answered to every question about an account instead.
    pub(super) refuses_info: Mutex<Option<IssueError>>,
    /// Shown by the list at most, whatever was asked for.
    pub(super) page: Mutex<Option<usize>>,
    /// After that many pages this account joins, in front of all others.
    pub(super) joins: Mutex<Option<(usize, String)>>,
    /// Answers about codes wait here, if it is set, after the call was carried out.
    pub(super) query_gate: Mutex<Option<Arc<Semaphore>>>,
    made: Mutex<usize>,
}

impl Accounts {
    /// The account authorizes (again): a new refresh token and a code.
    pub(super) fn authorize(&self, appid: &str, sets: &[u16], at_s: i64) -> String {
        let number = self.number();
        let refresh = format!("refresh-of-{appid}-{number}");
        let sets = sets.iter().copied().collect();
        let account = Account { granted: true, shop: true, sets, refresh, auth_time: at_s };
        self.by_appid.lock().unwrap().insert(appid.to_owned(), account);
        let code = format!("code-{appid}-{number}");
        self.codes.lock().unwrap().insert(code.clone(), appid.to_owned());
        code
    }

    pub(super) fn revoke(&self, appid: &str) {
        self.by_appid.lock().unwrap().get_mut(appid).unwrap().granted = false;
    }

    pub(super) fn refresh_of(&self, appid: &str) -> String {
        self.by_appid.lock().unwrap()[appid].refresh.clone()
    }

    pub(super) fn count(&self, call: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|made| made.starts_with(call)).count()
    }

    fn number(&self) -> usize {
        let mut made = self.made.lock().unwrap();
        *made += 1;
        *made
    }

    async fn called<T>(&self, call: String, apply: impl FnOnce() -> Result<T, IssueError>) -> Result<T, IssueError> {
        let number = self.calls.lock().unwrap().len();
        let silent = self.unanswered.lock().unwrap().iter().any(|name| call.starts_with(name));
        let is_query = call.starts_with("query");
        self.calls.lock().unwrap().push(call);
        let cut = self.cut.lock().unwrap().filter(|(at, _)| *at == number).map(|(_, cut)| cut);
        if cut == Some(Cut::Before) {
            std::future::pending::<()>().await;
        }
        let answer = apply();
        let gate = self.query_gate.lock().unwrap().clone().filter(|_| is_query);
        if let Some(gate) = gate {
            let _ = gate.acquire().await.unwrap();
        }
        if cut == Some(Cut::After) {
            std::future::pending::<()>().await;
        }
        if silent { Err(IssueError::Unavailable("the connection broke".into())) } else { answer }
    }

    pub(super) async fn info(&self, appid: &str) -> Result<AuthorizerInfo, IssueError> {
        self.called(format!("info {appid}"), || {
            if let Some(error) = self.refuses_info.lock().unwrap().clone() {
                return Err(error);
            }
            let accounts = self.by_appid.lock().unwrap();
            let account = accounts.get(appid).filter(|account| account.granted);
            let account =
                account.ok_or_else(|| IssueError::Invalid { code: 61003, message: "not authorized".into() })?;
            Ok(AuthorizerInfo {
                name: format!("店 {appid}"),
                user_name: Some(format!("gh_{appid}")),
                is_shop: account.shop,
                refresh: Some(secret(&account.refresh)),
                permission_sets: Some(account.sets.clone()),
            })
        })
        .await
    }
}

#[async_trait]
impl Authorizer for FakePlatform {
    async fn pre_auth_code(&self, _: &SecretString, _: &str) -> Result<PreAuthCode, IssueError> {
        let number = self.accounts.number();
        let code = secret(&format!("pre-auth-{number}"));
        self.accounts.called("pre-auth".into(), || Ok(PreAuthCode { code, expires_in: 600 })).await
    }

    async fn query_auth(&self, _: &SecretString, _: &str, code: &SecretString) -> Result<Authorization, IssueError> {
        let code = code.expose_secret();
        self.accounts
            .called(format!("query {code}"), || {
                let appid = self.accounts.codes.lock().unwrap().remove(code);
                let appid = appid.ok_or_else(|| IssueError::Refused { code: 61009, message: "code invalid".into() })?;
                let account = self.accounts.by_appid.lock().unwrap()[&appid].clone();
                Ok(Authorization {
                    access: Some((secret(&format!("access-of-{appid}")), 7200)),
                    refresh: Some(secret(&account.refresh)),
                    permission_sets: Some(account.sets),
                    appid,
                })
            })
            .await
    }

    async fn authorizer_list(
        &self,
        _: &SecretString,
        _: &str,
        offset: u32,
        count: u32,
    ) -> Result<AuthorizerPage, IssueError> {
        assert!(count <= 500);
        let pages = self.accounts.count("list");
        let joins = self.accounts.joins.lock().unwrap().clone();
        if let Some((_, appid)) = joins.filter(|(after, _)| *after == pages) {
            self.accounts.authorize(&appid, &[131], 7);
        }
        let count = self.accounts.page.lock().unwrap().unwrap_or(count as usize);
        self.accounts
            .called(format!("list {offset}"), || {
                let accounts = self.accounts.by_appid.lock().unwrap();
                let granted: Vec<_> = accounts.iter().filter(|(_, account)| account.granted).collect();
                let page = granted.iter().skip(offset as usize).take(count);
                Ok(AuthorizerPage {
                    total: granted.len() as i64,
                    listed: page
                        .map(|(appid, account)| ListedAuthorizer {
                            appid: appid.to_string(),
                            refresh: Some(secret(&account.refresh)),
                            auth_time: account.auth_time,
                        })
                        .collect(),
                })
            })
            .await
    }
}
