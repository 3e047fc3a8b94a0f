use super::*;

#[test]
fn event_id_is_the_first_half_of_sha256_over_the_parts_joined_by_nul() {
    let identity = Identity::new("acme", "alerts", ["da1_1", "2026-10-01T00:00:00.1Z"]);
    let expected = {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(b"acme\0alerts\0da1_1\x002026-10-01T00:00:00.1Z\x002");
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(identity.event_id(2).to_string(), expected);
}

#[test]
fn members_keep_order_spelling_and_doubles() {
    let object = RawObject::parse(br#" {"a": 1.0 ,"\u0062":"x\ty","a":[1, 2]} "#).expect("valid");
    assert_eq!(object.members, [(r#""a""#, "1.0"), (r#""\u0062""#, r#""x\ty""#), (r#""a""#, "[1, 2]")]);
    assert_eq!(object.text("b").as_deref(), Some("x\ty"));
    assert_eq!(object.get("a"), Some("1.0"));
}

#[test]
fn an_error_tells_the_place_and_quotes_nothing() {
    let error = RawObject::parse(br#"{"secret": tru}"#).expect_err("invalid");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(RawObject::parse(b"[1]").is_err());
    assert!(RawObject::parse(b"{\"a\":\"\xff\"}").is_err());
}

#[test]
fn lines_are_cut_behind_their_ends_and_nothing_is_left_out() {
    for body in ["", "a", "a\n", "\n", "a\nb", "a\n\nb\n"] {
        let wanted: Vec<_> = body.as_bytes().split_inclusive(|&octet| octet == b'\n').collect();
        assert_eq!(lines(body.as_bytes()).collect::<Vec<_>>(), wanted, "{body:?}");
    }
}
