//! What an expression is worth on a message. Nothing here fails: what has no value is missing.

use super::{Arithmetic, Comparison, Expression, Literal, Root, Step, Subject, like::Like};
use serde_json::Value;
use std::borrow::Cow;

/// The value of a part of an expression.
#[derive(Clone, PartialEq, Debug)]
pub enum Operand<'a> {
    Missing,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    Array(&'a [Value]),
    List(&'a [Literal]),
    Object,
}

impl<'a> Operand<'a> {
    /// Only the boolean true is true.
    pub fn is_true(&self) -> bool {
        matches!(self, Operand::Bool(true))
    }

    fn of(value: &'a Value) -> Operand<'a> {
        match value {
            Value::Null => Operand::Missing,
            Value::Bool(value) => Operand::Bool(*value),
            Value::Number(number) => number.as_f64().map_or(Operand::Missing, Operand::Number),
            Value::String(text) => Operand::Text(text.into()),
            Value::Array(items) => Operand::Array(items),
            Value::Object(_) => Operand::Object,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Operand::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Texts, and booleans as texts.
    fn text(&self) -> Option<&str> {
        match self {
            Operand::Text(text) => Some(text),
            Operand::Bool(true) => Some("true"),
            Operand::Bool(false) => Some("false"),
            _ => None,
        }
    }
}

/// Evaluates an expression on a message.
pub fn evaluate<'a>(expression: &'a Expression, subject: &'a Subject) -> Operand<'a> {
    let truth = |part: &'a Expression| evaluate(part, subject).is_true();
    match expression {
        Expression::Any(parts) => Operand::Bool(parts.iter().any(truth)),
        Expression::All(parts) => Operand::Bool(parts.iter().all(truth)),
        Expression::Not(part) => Operand::Bool(!truth(part)),
        Expression::Compare(left, comparison, right) => {
            Operand::Bool(compare(comparison, &evaluate(left, subject), &evaluate(right, subject)))
        }
        Expression::Arithmetic(first, rest) => {
            let first = evaluate(first, subject).number();
            let total = rest
                .iter()
                .fold(first, |total, (operator, part)| calculate(*operator, total?, evaluate(part, subject).number()?));
            total.map_or(Operand::Missing, Operand::Number)
        }
        Expression::Negative(part) => {
            evaluate(part, subject).number().map_or(Operand::Missing, |number| Operand::Number(-number))
        }
        Expression::Field(root, steps) => field(subject, *root, steps),
        Expression::Number(number) => Operand::Number(*number),
        Expression::Text(text) => Operand::Text(text.into()),
        Expression::List(list) => Operand::List(list),
    }
}

fn field<'a>(subject: &'a Subject, root: Root, steps: &[Step]) -> Operand<'a> {
    let mut value = subject.root(root);
    for step in steps {
        let next = match step {
            Step::Member(name) => value.get(name),
            Step::Index(index) => value.get(index),
        };
        match next {
            Some(next) => value = next,
            None => return Operand::Missing,
        }
    }
    Operand::of(value)
}

/// Division by zero, and whatever else is no finite number, is missing.
fn calculate(operator: Arithmetic, left: f64, right: f64) -> Option<f64> {
    let result = match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    };
    result.is_finite().then_some(result)
}

fn compare(comparison: &Comparison, left: &Operand, right: &Operand) -> bool {
    if *left == Operand::Missing || *right == Operand::Missing {
        return false;
    }
    let ordered = |fits: fn(&f64, &f64) -> bool| match (left.number(), right.number()) {
        (Some(left), Some(right)) => fits(&left, &right),
        _ => false,
    };
    match comparison {
        Comparison::Equal => equal(left, right),
        Comparison::Unequal => !equal(left, right),
        Comparison::Less => ordered(f64::lt),
        Comparison::AtMost => ordered(f64::le),
        Comparison::Greater => ordered(f64::gt),
        Comparison::AtLeast => ordered(f64::ge),
        Comparison::Like(pattern) => like(left, pattern.as_ref(), right),
        Comparison::Contains => contains(left, right),
    }
}

fn equal(left: &Operand, right: &Operand) -> bool {
    match (left, right) {
        (Operand::Number(left), Operand::Number(right)) => left == right,
        (left, right) => left.text().is_some_and(|text| right.text() == Some(text)),
    }
}

fn like(left: &Operand, ready: Option<&Like>, right: &Operand) -> bool {
    match (left.text(), ready, right.text()) {
        (Some(text), Some(pattern), _) => pattern.matches(text),
        (Some(text), None, Some(pattern)) => Like::new(pattern).matches(text),
        _ => false,
    }
}

fn contains(left: &Operand, right: &Operand) -> bool {
    match left {
        Operand::Array(items) => items.iter().any(|item| equal(&Operand::of(item), right)),
        Operand::List(list) => list.iter().any(|item| equal(&item.operand(), right)),
        left => match (left.text(), right.text()) {
            (Some(text), Some(part)) => text.contains(part),
            _ => false,
        },
    }
}
