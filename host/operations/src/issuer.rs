//! Getting tokens from the platform (platform page, sections 2.1 and 2.4). Called by custody alone, which sees to it
//! that no two of these run at once for one shop.

use async_trait::async_trait;
use fangshi_tenants::{AuthorizerInfo, IssueError, Issued, Issuer};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer;
use crate::authorization;
use crate::client::Weixin;
use crate::errcode;
use crate::fault::{Class, Fault};

#[async_trait]
impl Issuer for Weixin {
    async fn component_token(
        &self,
        appid: &str,
        secret: &SecretString,
        ticket: &SecretString,
    ) -> Result<Issued, IssueError> {
        #[derive(Serialize)]
        struct Body<'a> {
            component_appid: &'a str,
            component_appsecret: &'a str,
            component_verify_ticket: &'a str,
        }
        let body = Body {
            component_appid: appid,
            component_appsecret: secret.expose_secret(),
            component_verify_ticket: ticket.expose_secret(),
        };
        let secrets = vec![secret.clone(), ticket.clone()];
        let answer = self.post("/cgi-bin/component/api_component_token", None, &body, secrets).await;
        self.issued(answer, "component_access_token", None)
    }

    async fn authorizer_token(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        authorizer_appid: &str,
        refresh: &SecretString,
    ) -> Result<Issued, IssueError> {
        #[derive(Serialize)]
        struct Body<'a> {
            component_appid: &'a str,
            authorizer_appid: &'a str,
            authorizer_refresh_token: &'a str,
        }
        let body = Body { component_appid, authorizer_appid, authorizer_refresh_token: refresh.expose_secret() };
        let secrets = vec![refresh.clone()];
        let path = "/cgi-bin/component/api_authorizer_token";
        let answer = self.post(path, Some(component_token), &body, secrets).await;
        self.issued(answer, "authorizer_access_token", Some("authorizer_refresh_token"))
    }

    async fn stable_token(&self, appid: &str, secret: &SecretString, force: bool) -> Result<Issued, IssueError> {
        #[derive(Serialize)]
        struct Body<'a> {
            grant_type: &'static str,
            appid: &'a str,
            secret: &'a str,
            force_refresh: bool,
        }
        let body =
            Body { grant_type: "client_credential", appid, secret: secret.expose_secret(), force_refresh: force };
        let secrets = vec![secret.clone()];
        let answer = self.post("/cgi-bin/stable_token", None, &body, secrets).await;
        self.issued(answer, "access_token", None)
    }

    async fn start_push_ticket(&self, appid: &str, secret: &SecretString) -> Result<(), IssueError> {
        #[derive(Serialize)]
        struct Body<'a> {
            component_appid: &'a str,
            component_secret: &'a str,
        }
        let body = Body { component_appid: appid, component_secret: secret.expose_secret() };
        let secrets = vec![secret.clone()];
        let answer = self.post("/cgi-bin/component/api_start_push_ticket", None, &body, secrets).await;
        answer.map(|_| ()).map_err(|fault| self.refused(fault))
    }

    async fn authorizer_info(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        authorizer_appid: &str,
    ) -> Result<AuthorizerInfo, IssueError> {
        let body = json!({"component_appid": component_appid, "authorizer_appid": authorizer_appid});
        let path = "/cgi-bin/component/api_get_authorizer_info";
        let answer = self.post(path, Some(component_token), &body, Vec::new()).await;
        let answer = answer.map_err(|fault| self.refused(fault))?;
        authorization::info(&answer).map_err(IssueError::Unavailable)
    }
}

impl Weixin {
    fn issued(&self, answer: Result<Value, Fault>, access: &str, refresh: Option<&str>) -> Result<Issued, IssueError> {
        let answer = answer.map_err(|fault| self.refused(fault))?;
        let access = answer::needed_text(&answer, access).map_err(IssueError::Unavailable)?;
        let refresh = refresh.map(|name| answer::text(&answer, name)).filter(|text| !text.is_empty());
        Ok(Issued {
            access: SecretString::from(access),
            refresh: refresh.map(SecretString::from),
            expires_in: life(&answer),
        })
    }

    pub(crate) fn refused(&self, fault: Fault) -> IssueError {
        let code = fault.code;
        match fault.class {
            Class::Reauthorize | Class::Revoked => IssueError::Invalid { code, message: with_rid(&fault) },
            Class::MinuteQuota | Class::DayQuota => {
                let wait = errcode::retry_after(fault.class, self.clock.now_s()).unwrap_or_default();
                let until = self.clock.now().saturating_add(i64::from(wait) * 1000);
                IssueError::Limited { code, message: with_rid(&fault), until }
            }
            Class::Busy | Class::TooOften | Class::Unreachable => {
                IssueError::Unavailable(format!("{} ({code})", with_rid(&fault)))
            }
            Class::Unanswered => IssueError::Unanswered(format!("{} ({code})", with_rid(&fault))),
            _ => IssueError::Refused { code, message: with_rid(&fault) },
        }
    }
}

/// Seconds that a new access token lives. Tokens that came are never thrown away for want of it: what is missing or makes no
/// sense is the platform's usual life (platform page 2).
pub(crate) fn life(answer: &Value) -> i64 {
    const USUAL: i64 = 7_200;
    const LONGEST: i64 = 86_400;
    answer::number(answer, "expires_in").filter(|life| (1..=LONGEST).contains(life)).unwrap_or(USUAL)
}

fn with_rid(fault: &Fault) -> String {
    match &fault.rid {
        Some(rid) => format!("{}, rid {rid}", fault.message),
        None => fault.message.clone(),
    }
}
