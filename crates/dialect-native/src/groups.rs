//! `groups/{group}/channels`: named sets of channels, which a stream can follow as they change.

use crate::{
    Native,
    call::{Answer, Call},
    error::Problem,
    json,
    route::InGroup,
    settings::{DEFAULT_LIMIT, LISTED},
};
use model::ChannelName;
use serde_json::{Value, json};
use service::Group;

impl Native {
    pub(crate) async fn list_groups(&self, call: Call<'_>) -> Answer {
        let (caller, mut params) = call.params()?;
        let after = params.take("after")?.map(|name| Group::new(&name)).transpose();
        let after = after.map_err(|error| Problem::invalid("after", error.message))?;
        let limit = params.take_number("limit", 1..=LISTED, DEFAULT_LIMIT)? as u32;
        params.finish(&["after", "limit"])?;
        let (groups, next) = self.channels.list_groups(caller, after.as_ref(), limit).await?;
        let names: Vec<&str> = groups.iter().map(Group::as_str).collect();
        let next = next.as_ref().map(Group::as_str);
        Ok(json(json!({ "groups": names, "next": next }).to_string().into()))
    }

    pub(crate) async fn in_group(&self, call: Call<'_>, group: &str, operation: InGroup) -> Answer {
        let caller = call.bare()?;
        let group = Group::new(group)?;
        let answer = match operation {
            InGroup::List => members(&self.channels.group(caller, &group).await?),
            InGroup::Delete => {
                self.channels.delete_group(caller, &group).await?;
                members(&[])
            }
            InGroup::Has(name) => {
                if !self.channels.group(caller, &group).await?.contains(&name) {
                    return Err(Problem::not_found("channel", "it does not belong to this group"));
                }
                member(&name, true)
            }
            InGroup::Add(name) => {
                self.channels.add_to_group(caller, &group, std::slice::from_ref(&name)).await?;
                member(&name, true)
            }
            InGroup::Remove(name) => {
                self.channels.remove_from_group(caller, &group, std::slice::from_ref(&name)).await?;
                member(&name, false)
            }
        };
        Ok(json(answer.to_string().into()))
    }
}

fn members(names: &[ChannelName]) -> Value {
    json!({ "channels": names.iter().filter_map(ChannelName::as_named).collect::<Vec<_>>() })
}

fn member(name: &ChannelName, belongs: bool) -> Value {
    json!({ "channel": name.as_named(), "member": belongs })
}
