//! What the catalogue makes of the schemas.

use logystera_schemas::catalogue::{
    CATALOGUE, FieldKind, IdentClass, SIGNAL_TYPES, SignalType, SignalTypes, TYPE_FIELDS_MAX, json_of,
};
use logystera_schemas::schema::{self, Kind};

/// A field as design and documentation write it: `name`, `?` where optional, and what it may hold.
fn shown(field: &logystera_schemas::catalogue::FieldDef) -> String {
    let kind = match &field.kind {
        FieldKind::Enum(symbols) => symbols.join("|"),
        FieldKind::EnumList(symbols) => format!("[{}]", symbols.join("|")),
        FieldKind::Int { min, max } => format!("{min}..{max}"),
        FieldKind::Bool => "bool".to_owned(),
        FieldKind::Hash => "hash".to_owned(),
        FieldKind::Ident { class, max } => format!("{class:?} {max}").to_lowercase(),
    };
    format!("  {}{}: {kind}", field.name, if field.optional { "?" } else { "" })
}

/// The types that stand in this part of the catalogue, as [`shown`] has them.
fn listed(types: std::ops::Range<usize>) -> String {
    let mut lines = Vec::new();
    for signal_type in types.filter_map(SignalType::from_index) {
        lines.push(signal_type.name().to_owned());
        lines.extend(signal_type.def().fields.iter().map(shown));
    }
    lines.join("\n")
}

#[test]
fn the_first_half_of_the_catalogue_is_what_the_schemas_say() {
    insta::assert_snapshot!(listed(0..6), @r"
    auth.attempt
      outcome: success|failure|lockout|reset_requested
      method: form|xmlrpc|rest|app_password|cookie|sso|cli|one_time_link
      reason?: unknown_user|bad_password|blocked|expired|other
      user_hash?: hash
      user_length?: 0..1024
      source: hash
      privileged?: bool
      network?: hash
      repeats?: 1..1000000000
    mail.outcome
      outcome: sent|failed|skipped
      transport?: smtp|mail|api|other
      error_class?: auth|connect|rejected|timeout|other
      recipients?: 0..1000000
      repeats?: 1..1000000000
    cron.run
      job: name 191
      outcome: ok|failed|missed
      late_s?: 0..31536000
      duration_ms?: 0..604800000
      repeats?: 1..1000000000
    php.error
      level: fatal|parse|warning|notice|deprecated
      component: slug 128
      file_hash: hash
      line?: 0..10000000
      message_hash: hash
      source?: hash
      repeats?: 1..1000000000
    config.change
      key: name 191
      action: added|updated|deleted
      before_hash?: hash
      after_hash?: hash
      actor_hash?: hash
      flags?: [registration_opened|powerful_default_role|debug_on|file_editor_on]
      repeats?: 1..1000000000
    user.change
      action: created|role_granted|role_revoked|deleted|password_changed|email_changed|second_factor_off|app_password_created
      role: slug 64
      user_hash: hash
      user_length?: 0..1024
      actor_hash?: hash
      repeats?: 1..1000000000
    ");
}

#[test]
fn the_rest_of_the_catalogue_is_what_the_schemas_say() {
    insta::assert_snapshot!(listed(6..SIGNAL_TYPES), @r"
    db.event
      kind: error|slow|connection_lost
      code?: slug 16
      duration_ms?: 0..604800000
      query_hash?: hash
      source?: hash
      repeats?: 1..1000000000
    http.request
      method: GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|OTHER
      path: path 256
      status: 100..599
      route_group: slug 64
      user_agent?: printable 256
      duration_ms?: 0..604800000
      source?: hash
      action?: action 64
      flags?: [sqli|xss|traversal|rfi|php_wrapper]
      bot?: verified|unverified
      network?: hash
      repeats?: 1..1000000000
    component.lifecycle
      kind: plugin|module|theme|core
      slug: slug 128
      action: installed|activated|deactivated|updated|deleted
      from_version?: version 64
      to_version?: version 64
      actor_hash?: hash
      direction?: up|down
      repeats?: 1..1000000000
    file.edit
      path: path 256
      size_delta: -2147483648..2147483647
      heuristics: [php_in_uploads|obfuscated|encoded_payload|permission_change|core_file]
      actor_hash?: hash
      repeats?: 1..1000000000
    integration.dropped
      dropped_type: name 64
      count: 1..1000000000
      since: 0..253402300799999
      reason: overflow|expired|disk|refused
    integration.refused
      reason: conflict|below_window|too_many_spools|quota|too_large|malformed|nothing_acceptable|signal|other
      count: 1..1000000000
    shop.order
      outcome: paid|failed|refunded|cancelled
      gateway: slug 64
      repeats?: 1..1000000000
    integration.changed
      changed_type: name 64
      action: enabled|disabled
    ");
}

#[test]
fn every_type_and_field_says_what_it_means() {
    for signal_type in &CATALOGUE.types {
        assert!(signal_type.doc.ends_with('.'), "{}", signal_type.name);
        for field in &signal_type.fields {
            assert!(field.doc.ends_with('.'), "{}.{}", signal_type.name, field.name);
        }
    }
}

#[test]
fn the_widest_type_has_as_many_fields_as_the_bound_says() {
    let widest = CATALOGUE.types.iter().map(|t| t.fields.len()).max();
    assert_eq!(widest, Some(TYPE_FIELDS_MAX));
}

#[test]
fn symbols_fit_the_masks_that_rules_use() {
    for signal_type in &CATALOGUE.types {
        for field in &signal_type.fields {
            if let FieldKind::Enum(symbols) | FieldKind::EnumList(symbols) = &field.kind {
                assert!((1..=32).contains(&symbols.len()), "{}.{}", signal_type.name, field.name);
            }
        }
    }
}

#[test]
fn names_find_their_types() {
    for signal_type in SignalType::all() {
        assert_eq!(SignalType::from_name(signal_type.name()), Some(signal_type));
    }
    assert_eq!(SignalType::from_name("auth"), None);
    assert_eq!(SignalType::from_name("auth_attempt"), None);
    assert_eq!(SignalType::from_index(SIGNAL_TYPES), None);
}

#[test]
fn what_only_the_engine_makes_has_no_name_for_senders() {
    let mut made_by_engine = SignalTypes::default();
    for signal_type in SignalType::all().filter(|signal| !signal.is_sent()) {
        made_by_engine.insert(signal_type);
        assert_eq!(SignalType::from_sent_name(signal_type.name()), None);
    }
    assert_eq!(made_by_engine, SignalTypes::MADE_BY_ENGINE);
    let names: Vec<_> = made_by_engine.iter().map(SignalType::name).collect();
    assert_eq!(names, ["integration.refused", "integration.changed"]);
    assert!(SignalType::from_sent_name("cron.run").is_some());
}

/// The batch's enum of types and its union of signals must both stand in the catalogue's order.
#[test]
fn the_batch_names_the_types_in_the_catalogues_order() {
    let batch: serde_json::Value = serde_json::from_str(Kind::Batch.source()).unwrap();
    let field = |name: &str| batch["fields"].as_array().unwrap().iter().find(|f| f["name"] == name).unwrap();
    let texts = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    let enabled = texts(&field("enabled")["type"]["items"]["symbols"]);
    let expected: Vec<_> = CATALOGUE.types.iter().map(|t| t.name.replace('.', "_")).collect();
    assert_eq!(enabled, expected);

    let union = texts(&field("signals")["type"]["items"]);
    let record = |source: &&str| {
        let schema: serde_json::Value = serde_json::from_str(source).unwrap();
        format!("{}.{}", schema["namespace"].as_str().unwrap(), schema["name"].as_str().unwrap())
    };
    assert_eq!(union, schema::SIGNAL_SOURCES.iter().map(record).collect::<Vec<_>>());
}

#[test]
fn identifiers_keep_to_their_class() {
    let cases: [(IdentClass, &[&str], &[&str]); 6] = [
        (IdentClass::Name, &["wp_version_check", "a/b:c.d\\E-1"], &["", "a b", "a@b", "é", "a\n"]),
        (IdentClass::Slug, &["woo-commerce", "a_b.c"], &["", "a/b", "a:b", "<a>"]),
        (IdentClass::Version, &["1.2.3-rc1+b7", "6.4~x"], &["", "1 2", "1/2"]),
        (
            IdentClass::Path,
            &["/", "/wp-admin/*.php", "/a%20b"],
            &["", "a", "/a?b", "/a#b", "/a@b", "/a b", "/é", "/\0"],
        ),
        (IdentClass::Action, &["lostpassword", "wc-ajax:checkout", "a_1"], &["", "A", "a.b", "a b", "é", "a/b"]),
        (IdentClass::Printable, &["Mozilla/5.0 (X11)", " "], &["", "a\tb", "é", "\u{7f}"]),
    ];
    for (class, admitted, refused) in cases {
        for text in admitted {
            assert!(class.admits(text), "{class:?} {text:?}");
        }
        for text in refused {
            assert!(!class.admits(text), "{class:?} {text:?}");
        }
    }
}

#[test]
fn text_that_was_kept_becomes_the_json_that_the_signal_had() {
    for (field, text, expected) in [
        ("status", "404", "404"),
        ("size_delta", "-12", "-12"),
        ("privileged", "true", "true"),
        ("outcome", "failed", "\"failed\""),
        ("code", "404", "\"404\""),
        ("user_hash", "0123456789abcdef0123456789abcdef", "\"0123456789abcdef0123456789abcdef\""),
        ("heuristics", "core_file,php_in_uploads", "[\"core_file\",\"php_in_uploads\"]"),
        // Two types have a list of this name, with other symbols.
        ("flags", "sqli,xss", "[\"sqli\",\"xss\"]"),
        ("flags", "debug_on", "[\"debug_on\"]"),
        ("action", "checkout", "\"checkout\""),
        // Cut in the middle of a symbol.
        ("heuristics", "core_file,php_in", "\"core_file,php_in\""),
        ("status", "", "null"),
        ("component", "", "null"),
        ("status", "many", "\"many\""),
        ("no_such_field", "1", "\"1\""),
    ] {
        assert_eq!(json_of(field, text).to_string(), expected, "{field} {text:?}");
    }
    // Every name means the same kind of value in each type that has it.
    for field in CATALOGUE.types.iter().flat_map(|def| &def.fields) {
        let text = if matches!(field.kind, FieldKind::Int { .. }) { "1" } else { "" };
        assert!(!json_of(&field.name, text).is_string(), "{} is ambiguous", field.name);
    }
}
