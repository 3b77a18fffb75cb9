//! Filter expressions of subscribe (`protocols/pubnub.md` §5.5): compiled once per request, bounded in length and depth,
//! evaluated on a message's `meta` and `data` without ever failing.
//!
//! What the vendor leaves open is decided so: a comparison with a missing field is false, whatever the operator;
//! values of different types are unequal; a boolean compares as the text `true` or `false`; ordering and arithmetic
//! are for numbers; text compares exactly, `LIKE` without case. `!` binds tightest, then unary `-`, `* / %`, `+ -`,
//! comparisons (which do not chain), `&&`, `||`.

mod like;
mod parser;
mod tokens;
mod value;

use crate::error::Refusal;
use like::Like;
use serde_json::Value;
use std::cell::OnceCell;
use value::Operand;

/// A compiled filter expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Filter {
    root: Expression,
}

impl Filter {
    /// Reads an expression; [`Refusal::Filter`] says what is wrong with it.
    pub fn compile(text: &str) -> Result<Filter, Refusal> {
        parser::parse(text).map(|root| Filter { root }).map_err(Refusal::Filter)
    }

    /// Whether a message passes.
    pub fn accepts(&self, subject: &Subject) -> bool {
        value::evaluate(&self.root, subject).is_true()
    }
}

/// What a filter looks at: two JSON texts, each parsed at most once and only if the filter asks for it.
pub struct Subject<'a> {
    meta: Option<&'a str>,
    data: Option<&'a str>,
    parsed_meta: OnceCell<Value>,
    parsed_data: OnceCell<Value>,
}

impl<'a> Subject<'a> {
    /// A message with its `meta`, if it has one, and its payload, if that is JSON.
    pub fn new(meta: Option<&'a str>, data: Option<&'a str>) -> Subject<'a> {
        Subject { meta, data, parsed_meta: OnceCell::new(), parsed_data: OnceCell::new() }
    }

    fn root(&self, root: Root) -> &Value {
        let (text, parsed) = match root {
            Root::Meta => (self.meta, &self.parsed_meta),
            Root::Data => (self.data, &self.parsed_data),
        };
        // What is nested too deeply to be parsed reads as missing.
        parsed.get_or_init(|| text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null))
    }
}

/// An expression. Chains of one operator are one node, so that depth is bounded by parentheses alone.
#[derive(Clone, PartialEq, Debug)]
enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Box<Expression>, Comparison, Box<Expression>),
    /// Left to right.
    Arithmetic(Box<Expression>, Vec<(Arithmetic, Expression)>),
    Negative(Box<Expression>),
    Field(Root, Vec<Step>),
    Number(f64),
    Text(String),
    List(Vec<Literal>),
}

#[derive(Clone, PartialEq, Debug)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    /// With the pattern ready when it is a literal, which it nearly always is.
    Like(Option<Like>),
    Contains,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, PartialEq, Debug)]
enum Literal {
    Number(f64),
    Text(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Root {
    Meta,
    Data,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Member(String),
    Index(usize),
}

impl Expression {
    /// Whether it can be true at all: what may stand alone or beside `&&`, `||` and `!`.
    fn is_condition(&self) -> bool {
        match self {
            Expression::Any(_)
            | Expression::All(_)
            | Expression::Not(_)
            | Expression::Compare(..)
            | Expression::Field(..) => true,
            Expression::Arithmetic(..)
            | Expression::Negative(_)
            | Expression::Number(_)
            | Expression::Text(_)
            | Expression::List(_) => false,
        }
    }
}

impl Literal {
    fn operand(&self) -> Operand<'_> {
        match self {
            Literal::Number(number) => Operand::Number(*number),
            Literal::Text(text) => Operand::Text(text.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use proptest::prelude::*;

    const META: &str = r#"{"age":32,"role":"super-user","uuid":"user-1","ok":true,"tags":["a","b",3],
                           "user":{"role":"admin","first name":"Ann"},"zero":0}"#;
    const DATA: &str = r#"{"text":"Hello *World*","n":-2.5}"#;

    fn passes(filter: &str) -> bool {
        let filter = Filter::compile(filter).unwrap_or_else(|e| panic!("{filter}: {e:?}"));
        filter.accepts(&Subject::new(Some(META), Some(DATA)))
    }

    fn check(cases: &[&str], expected: bool) {
        for case in cases {
            assert_eq!(passes(case), expected, "{case}");
        }
    }

    #[test]
    fn the_recorded_example_passes() {
        assert!(passes("uuid == 'user-1' && (('admin','super-user') contains role) && age >= 32"));
    }

    #[test]
    fn fields_are_reached_by_name_member_and_index() {
        check(
            &[
                "meta.age == 32",
                "meta.user[\"role\"] == \"admin\"",
                "user.role == 'admin'",
                "user['first name'] == 'Ann'",
                "meta.tags[0] == 'a'",
                "tags[2] == 3",
                "data.n == -2.5",
                "data.text LIKE 'hello*'",
                "ok",
                "ok == 'true'",
                "ok != 'false'",
            ],
            true,
        );
        check(&["tags[9] == 'a'", "age.x == 1", "tags.x == 1", "user[0] == 1", "age", "nothing"], false);
    }

    #[test]
    fn a_missing_field_fails_every_comparison() {
        check(&["x == 1", "x != 1", "x < 1", "x >= 1", "x LIKE '*'", "x CONTAINS 'a'", "tags CONTAINS x"], false);
        check(&["!(x == 1)", "x == 1 || age == 32"], true);
    }

    #[test]
    fn ordering_is_for_numbers() {
        check(&["age > 31", "age >= 32", "age < 33", "age <= 32", "data.n < 0", "age > -1"], true);
        check(&["age > 32", "role > 'a'", "age > '31'", "ok > 0", "tags < 5"], false);
    }

    #[test]
    fn types_are_not_mixed() {
        check(&["age != '32'", "role != 3", "tags != 'a'"], true);
        check(&["age == '32'", "tags == 'a'", "role == 'Super-User'"], false);
    }

    #[test]
    fn arithmetic_follows_the_usual_order() {
        check(
            &[
                "age + 2 * 4 == 40",
                "(age + 2) * 4 == 136",
                "age % 5 == 2",
                "age / 2 - 6 == 10",
                "-age == -32",
                "10 - 3 - 2 == 5",
                "age - -1 == 33",
            ],
            true,
        );
        check(&["age / zero == 1", "age / zero != 1", "age % zero != 1", "role + 1 == 1"], false);
    }

    #[test]
    fn like_ignores_case_and_knows_one_wildcard() {
        check(
            &[
                "role LIKE 'SUPER*'",
                "role like '*user'",
                "role like '*per*us*'",
                "role like 'super-user'",
                "data.text LIKE 'hello \\*world\\*'",
                "ok like 'TRUE'",
            ],
            true,
        );
        check(
            &[
                "role LIKE 'super'",
                "role like '*userx'",
                "role like 'user*'",
                "data.text LIKE 'hello \\*'",
                "age LIKE 3",
            ],
            false,
        );
    }

    #[test]
    fn contains_looks_into_text_arrays_and_lists() {
        check(
            &[
                "role CONTAINS 'per-u'",
                "tags contains 'b'",
                "tags contains 3",
                "('x', 32) contains age",
                "('true') contains ok",
                "(1, 2, 3) contains tags[2]",
            ],
            true,
        );
        check(
            &[
                "role CONTAINS 'PER'",
                "tags contains 'c'",
                "tags contains '3'",
                "(1,2) contains age",
                "age contains 3",
                "user contains 'admin'",
            ],
            false,
        );
    }

    #[test]
    fn conditions_are_joined() {
        check(&["age == 1 || age == 32 && ok", "!(age == 1)", "!!ok", "!x && ok", "(age > 1) == 'true'"], true);
        check(&["(age == 1 || age == 32) && !ok", "age == 1 || age == 2 || age == 3"], false);
    }

    #[test]
    fn a_filter_without_meta_is_false_where_it_reads_meta() {
        let filter = Filter::compile("uuid != 'x'").unwrap();
        assert!(!filter.accepts(&Subject::new(None, Some("1"))));
        assert!(Filter::compile("data == 1").unwrap().accepts(&Subject::new(None, Some("1"))));
        assert!(Filter::compile("meta == 'm'").unwrap().accepts(&Subject::new(Some("\"m\""), None)));
    }

    #[test]
    fn malformed_filters_are_refused() {
        let cases = [
            "",
            " ",
            "(",
            "age ==",
            "== 1",
            "age = 1",
            "age == 1 &",
            "age & 1",
            "1",
            "'x'",
            "1 + 2",
            "age == 1 == 1",
            "a b",
            "a[",
            "a[1",
            "a['x'",
            "a[-1] == 1",
            "a[1.5] == 1",
            "a. == 1",
            "'open",
            "(1,",
            "(1,2",
            "(a,b) contains c",
            "1 && ok",
            "! 'x'",
            "age == 1)",
            "#",
            "age == 0x1",
            "a == 1..2",
            "LIKE 'a'",
            "a like",
            "a == (1,2) +",
            "0é",
        ];
        for case in cases {
            assert!(matches!(Filter::compile(case), Err(Refusal::Filter(_))), "{case:?}");
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        let long = format!("a == '{}'", "x".repeat(limits::FILTER_BYTES));
        assert!(Filter::compile(&long).is_err());
        let nested = |n: usize| format!("{}a == 1{}", "(".repeat(n), ")".repeat(n));
        assert!(Filter::compile(&nested(8)).is_ok());
        for deep in [nested(1000), "!".repeat(1000) + "a", format!("a == {}1", "- ".repeat(1000))] {
            assert!(Filter::compile(&deep).is_err());
        }
        let wide = vec!["a == 1"; 400].join(" || ");
        assert!(Filter::compile(&wide).is_ok());
    }

    /// Expressions with their value by a plain reading, to hold the parser's order of binding against.
    fn conditions() -> impl Strategy<Value = (String, bool)> {
        let leaf = prop_oneof![
            Just(("age == 32".to_owned(), true)),
            Just(("age < 5".to_owned(), false)),
            Just(("tags contains 'a'".to_owned(), true)),
            Just(("missing == 1".to_owned(), false)),
            Just(("role LIKE 'S*R'".to_owned(), true)),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|(text, value)| (format!("!({text})"), !value)),
                proptest::collection::vec(inner.clone(), 2..4).prop_map(|parts| {
                    let text = parts.iter().map(|(text, _)| format!("({text})")).collect::<Vec<_>>().join(" && ");
                    (text, parts.iter().all(|(_, value)| *value))
                }),
                proptest::collection::vec(inner, 2..4).prop_map(|parts| {
                    let text = parts.iter().map(|(text, _)| format!("({text})")).collect::<Vec<_>>().join("||");
                    (text, parts.iter().any(|(_, value)| *value))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn conditions_mean_what_they_say((text, value) in conditions()) {
            prop_assert_eq!(passes(&text), value);
        }

        #[test]
        fn no_text_panics(text in "[-a-c0-9 .,()\\[\\]'\"=!<>&|+*/%\\\\é]{0,60}") {
            if let Ok(filter) = Filter::compile(&text) {
                filter.accepts(&Subject::new(Some(META), Some("not json")));
            }
        }

        #[test]
        fn no_bytes_panic(text in ".{0,80}") {
            let _ = Filter::compile(&text);
        }

        #[test]
        fn no_document_panics(meta in "[-a-c0-9 .,{}\\[\\]'\":]{0,60}") {
            Filter::compile("a == 1 || b contains 'x' || -c > 3").unwrap().accepts(&Subject::new(Some(&meta), None));
        }
    }
}
