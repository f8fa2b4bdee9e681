//! Calls about authorizations (platform page, sections 2.1 and 2.2): pre-auth codes, what a code stands for, who
//! authorized. Called by onboarding alone.

use std::collections::BTreeSet;

use async_trait::async_trait;
use fangshi_tenants::{
    Authorization, Authorizer, AuthorizerInfo, AuthorizerPage, IssueError, ListedAuthorizer, PreAuthCode,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer;
use crate::client::Weixin;
use crate::issuer::life;

#[async_trait]
impl Authorizer for Weixin {
    async fn pre_auth_code(
        &self,
        component_token: &SecretString,
        component_appid: &str,
    ) -> Result<PreAuthCode, IssueError> {
        let body = json!({"component_appid": component_appid});
        let path = "/cgi-bin/component/api_create_preauthcode";
        let answer =
            self.post(path, Some(component_token), &body, Vec::new()).await.map_err(|fault| self.refused(fault))?;
        let code = answer::needed_text(&answer, "pre_auth_code").map_err(IssueError::Unavailable)?;
        let expires_in = answer::needed_number(&answer, "expires_in").map_err(IssueError::Unavailable)?;
        Ok(PreAuthCode { code: SecretString::from(code), expires_in })
    }

    async fn query_auth(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        code: &SecretString,
    ) -> Result<Authorization, IssueError> {
        #[derive(Serialize)]
        struct Body<'a> {
            component_appid: &'a str,
            authorization_code: &'a str,
        }
        let body = Body { component_appid, authorization_code: code.expose_secret() };
        let secrets = vec![code.clone()];
        let path = "/cgi-bin/component/api_query_auth";
        let answer =
            self.post(path, Some(component_token), &body, secrets).await.map_err(|fault| self.refused(fault))?;
        let info = answer.get("authorization_info").unwrap_or(&Value::Null);
        Ok(Authorization {
            appid: answer::needed_text(info, "authorizer_appid").map_err(IssueError::Unavailable)?,
            access: secret(info, "authorizer_access_token").map(|token| (token, life(info))),
            refresh: secret(info, "authorizer_refresh_token"),
            permission_sets: permission_sets(info),
        })
    }

    async fn authorizer_list(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        offset: u32,
        count: u32,
    ) -> Result<AuthorizerPage, IssueError> {
        let body = json!({"component_appid": component_appid, "offset": offset, "count": count});
        let path = "/cgi-bin/component/api_get_authorizer_list";
        let answer =
            self.post(path, Some(component_token), &body, Vec::new()).await.map_err(|fault| self.refused(fault))?;
        let total = answer::needed_number(&answer, "total_count").map_err(IssueError::Unavailable)?;
        let list = answer.get("list").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let listed = list.iter().map(|account| {
            Ok(ListedAuthorizer {
                appid: answer::needed_text(account, "authorizer_appid")?,
                refresh: secret(account, "refresh_token"),
                auth_time: answer::number(account, "auth_time").unwrap_or(0),
            })
        });
        let listed = listed.collect::<Result<_, String>>().map_err(IssueError::Unavailable)?;
        Ok(AuthorizerPage { total, listed })
    }
}

/// The answer of `api_get_authorizer_info`.
pub(crate) fn info(answer: &Value) -> Result<AuthorizerInfo, String> {
    let about = answer.get("authorizer_info").filter(|about| about.is_object());
    let about = about.ok_or_else(|| "the platform's answer has no authorizer_info".to_owned())?;
    let authorization = answer.get("authorization_info").unwrap_or(&Value::Null);
    Ok(AuthorizerInfo {
        name: answer::text(about, "nick_name"),
        user_name: Some(answer::text(about, "user_name")).filter(|name| !name.is_empty()),
        is_shop: about.get("store_info").is_some_and(|store| !store.is_null()),
        refresh: secret(authorization, "authorizer_refresh_token"),
        permission_sets: permission_sets(authorization),
    })
}

fn secret(value: &Value, name: &str) -> Option<SecretString> {
    Some(answer::text(value, name)).filter(|text| !text.is_empty()).map(SecretString::from)
}

/// `func_info[].funcscope_category.id`; none if there is no such list. An id beyond what is known is left out.
fn permission_sets(authorization: &Value) -> Option<BTreeSet<u16>> {
    let list = authorization.get("func_info")?.as_array()?;
    let ids = list.iter().filter_map(|set| answer::number(set.get("funcscope_category")?, "id"));
    Some(ids.filter_map(|id| u16::try_from(id).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_is_told_by_its_store_info_and_ids_come_in_either_form() {
        let answer = json!({
            "authorizer_info": {"nick_name": "店", "user_name": "gh_1", "store_info": {"id": 0}},
            "authorization_info": {"authorizer_refresh_token": "R", "func_info": [
                {"funcscope_category": {"id": 131}}, {"funcscope_category": {"id": "130"}}, {"confirm_info": {}},
                {"funcscope_category": {"id": 999_999}},
            ]},
        });
        let shop = info(&answer).unwrap();
        assert!(shop.is_shop && shop.refresh.is_some());
        assert_eq!((shop.user_name.as_deref(), shop.permission_sets), (Some("gh_1"), Some(BTreeSet::from([130, 131]))));
        let other = info(&json!({"authorizer_info": {"nick_name": "公众号", "store_info": null}})).unwrap();
        assert!(!other.is_shop && other.user_name.is_none() && other.permission_sets.is_none());
        assert!(info(&json!({"errcode": 0})).is_err());
    }
}
