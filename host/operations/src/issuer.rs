//! Getting tokens from the platform (platform page, sections 2.1 and 2.4). Called by custody alone, which sees to it
//! that no two of these run at once for one shop.

use async_trait::async_trait;
use fangshi_tenants::{AuthorizerInfo, IssueError, Issued, Issuer};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::answer;
use crate::authorization;
use crate::client::Weixin;
use crate::fault::{Class, Fault};

#[async_trait]
impl Issuer for Weixin {
    async fn component_token(
        &self,
        appid: &str,
        secret: &SecretString,
        ticket: &SecretString,
    ) -> Result<Issued, IssueError> {
        let body = json!({
            "component_appid": appid,
            "component_appsecret": secret.expose_secret(),
            "component_verify_ticket": ticket.expose_secret(),
        });
        let secrets = vec![secret.expose_secret().to_owned(), ticket.expose_secret().to_owned()];
        let answer = self.post("/cgi-bin/component/api_component_token", None, &body, secrets).await;
        issued(answer, "component_access_token", None)
    }

    async fn authorizer_token(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        authorizer_appid: &str,
        refresh: &SecretString,
    ) -> Result<Issued, IssueError> {
        let body = json!({
            "component_appid": component_appid,
            "authorizer_appid": authorizer_appid,
            "authorizer_refresh_token": refresh.expose_secret(),
        });
        let secrets = vec![refresh.expose_secret().to_owned()];
        let path = "/cgi-bin/component/api_authorizer_token";
        let answer = self.post(path, Some(component_token), &body, secrets).await;
        issued(answer, "authorizer_access_token", Some("authorizer_refresh_token"))
    }

    async fn stable_token(&self, appid: &str, secret: &SecretString, force: bool) -> Result<Issued, IssueError> {
        let body = json!({
            "grant_type": "client_credential",
            "appid": appid,
            "secret": secret.expose_secret(),
            "force_refresh": force,
        });
        let secrets = vec![secret.expose_secret().to_owned()];
        issued(self.post("/cgi-bin/stable_token", None, &body, secrets).await, "access_token", None)
    }

    async fn start_push_ticket(&self, appid: &str, secret: &SecretString) -> Result<(), IssueError> {
        let body = json!({"component_appid": appid, "component_secret": secret.expose_secret()});
        let secrets = vec![secret.expose_secret().to_owned()];
        let answer = self.post("/cgi-bin/component/api_start_push_ticket", None, &body, secrets).await;
        answer.map(|_| ()).map_err(refused)
    }

    async fn authorizer_info(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        authorizer_appid: &str,
    ) -> Result<AuthorizerInfo, IssueError> {
        let body = json!({"component_appid": component_appid, "authorizer_appid": authorizer_appid});
        let path = "/cgi-bin/component/api_get_authorizer_info";
        let answer = self.post(path, Some(component_token), &body, Vec::new()).await.map_err(refused)?;
        authorization::info(&answer).map_err(IssueError::Unavailable)
    }
}

fn issued(answer: Result<Value, Fault>, access: &str, refresh: Option<&str>) -> Result<Issued, IssueError> {
    let answer = answer.map_err(refused)?;
    let read = |error: String| IssueError::Unavailable(error);
    let access = answer::needed_text(&answer, access).map_err(read)?;
    let expires_in = answer::needed_number(&answer, "expires_in").map_err(read)?;
    let refresh = refresh.map(|name| answer::text(&answer, name)).filter(|text| !text.is_empty());
    Ok(Issued { access: SecretString::from(access), refresh: refresh.map(SecretString::from), expires_in })
}

pub(crate) fn refused(fault: Fault) -> IssueError {
    match fault.class {
        Class::Reauthorize | Class::Revoked => IssueError::Invalid { code: fault.code, message: with_rid(&fault) },
        Class::Busy | Class::TooOften | Class::MinuteQuota | Class::DayQuota | Class::Unreachable => {
            IssueError::Unavailable(format!("{} ({})", with_rid(&fault), fault.code))
        }
        Class::Unanswered => IssueError::Unanswered(format!("{} ({})", with_rid(&fault), fault.code)),
        _ => IssueError::Refused { code: fault.code, message: with_rid(&fault) },
    }
}

fn with_rid(fault: &Fault) -> String {
    match &fault.rid {
        Some(rid) => format!("{}, rid {rid}", fault.message),
        None => fault.message.clone(),
    }
}
