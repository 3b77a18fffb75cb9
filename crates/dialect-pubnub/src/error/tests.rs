//! Refusals to the byte, as the vendor words them.

use super::*;

fn check(refusal: Refusal, service: Service, status: u16, body: &str) {
    let reply = refusal.reply(service, &Callback::NONE, 17);
    assert_eq!(reply.status.as_u16(), status);
    assert_eq!(std::str::from_utf8(&reply.body).unwrap(), body);
    serde_json::from_slice::<serde::de::IgnoredAny>(&reply.body).unwrap();
}

#[test]
fn every_service_has_its_own_shape() {
    let argument = || Refusal::Argument("start");
    check(argument(), Service::Publish, 400, r#"[0,"Invalid Arguments: start","17"]"#);
    check(
        argument(),
        Service::History,
        400,
        r#"{"status":400,"error":true,"error_message":"Invalid Arguments: start","channels":{}}"#,
    );
    check(
        argument(),
        Service::Actions,
        400,
        r#"{"status":400,"error":{"source":"actions","message":"Invalid Arguments: start"}}"#,
    );
    check(
        Refusal::ReservedCharacter,
        Service::Groups,
        400,
        r#"{"message":"Reserved character in input parameters.","error":true,"service":"channel-registry","status":400}"#,
    );
}

#[test]
fn keys_are_refused_as_the_vendor_does() {
    check(Refusal::PublishKey, Service::Publish, 400, r#"[0,"Invalid Key","17"]"#);
    let unknown = r#"{"message":"Invalid Subscribe Key","error":true,"service":"Access Manager","status":400}"#;
    check(Refusal::SubscribeKey, Service::Publish, 400, unknown);
    check(Refusal::SubscribeKey, Service::History, 400, unknown);
    check(
        Refusal::SubscribeKey,
        Service::Actions,
        400,
        r#"{"status":400,"error":{"source":"actions","message":"Invalid Subkey"}}"#,
    );
}

#[test]
fn sizes_are_refused_as_the_vendor_does() {
    check(Refusal::BodyTooLarge, Service::Publish, 413, r#"[0,"Request Entity Too Large"]"#);
    check(Refusal::SignalTooLarge, Service::Publish, 400, r#"[0,"Signal size too large","17"]"#);
    check(
        Refusal::LineTooLong,
        Service::Publish,
        414,
        r#"{"message":"Request URI Too Long","error":true,"service":"Balancer","status":414}"#,
    );
}

#[test]
fn what_is_denied_is_named() {
    let denied = Denied { channels: vec!["ch1".into()], groups: vec![] };
    check(
        Refusal::Forbidden(denied),
        Service::History,
        403,
        r#"{"message":"Forbidden","payload":{"channels":["ch1"]},"error":true,"service":"Access Manager","status":403}"#,
    );
    let denied = Denied { channels: vec![], groups: vec!["g1".into(), "ns:g".into()] };
    check(
        Refusal::Forbidden(denied),
        Service::Subscribe,
        403,
        r#"{"message":"Forbidden","payload":{"channel-groups":[":g1","ns:g"]},"error":true,"service":"Access Manager","status":403}"#,
    );
}

#[test]
fn faults_of_grants_and_actions_say_where() {
    let fault = GrantFault {
        source: "grant",
        message: "Invalid ttl",
        detail: "Range should be 1 to 43200 minute(s).".into(),
        location: "ttl",
        location_type: "body",
    };
    check(
        Refusal::Grant(fault),
        Service::Access,
        400,
        r#"{"error":{"message":"Invalid ttl","source":"grant","details":[{"message":"Range should be 1 to 43200 minute(s).","location":"ttl","locationType":"body"}]},"service":"Access Manager","status":400}"#,
    );
    check(
        Refusal::Action(ActionFault::Field("value")),
        Service::Actions,
        400,
        r#"{"status":400,"error":{"source":"actions","message":"Request payload contained invalid input.","details":[{"message":"Missing field","location":"value","locationType":"body"}]}}"#,
    );
    check(
        Refusal::Action(ActionFault::AlreadyAdded),
        Service::Actions,
        409,
        r#"{"status":409,"error":{"source":"actions","message":"Action Already Added"}}"#,
    );
}

#[test]
fn overload_says_when_to_come_back() {
    for kind in [ErrorKind::TooMany, ErrorKind::Unavailable] {
        for service in [Service::Publish, Service::Subscribe, Service::History] {
            let reply = Refusal::Work(model::Error::new(kind, "busy")).reply(service, &Callback::NONE, 1);
            assert!(reply.status.as_u16() >= 429);
            assert_eq!(reply.retry_after, Some(1));
        }
    }
}
