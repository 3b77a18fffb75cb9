//! From words to an expression, by plain descent; every level of nesting counts against [`limits::FILTER_DEPTH`].

use super::{
    Arithmetic, Comparison, Expression, Literal, Root, Step,
    like::Like,
    tokens::{Token, tokens},
};
use crate::limits;

/// Reads a whole text.
pub fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > limits::FILTER_BYTES {
        return Err(format!("longer than {} bytes", limits::FILTER_BYTES));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { rest: &tokens, depth: 0 };
    let root = parser.any()?;
    if !parser.rest.is_empty() {
        return Err(format!("unexpected {}", describe(parser.rest.first())));
    }
    condition(root)
}

struct Parser<'a> {
    rest: &'a [Token],
    depth: usize,
}

type Parsed = Result<Expression, String>;

impl Parser<'_> {
    fn any(&mut self) -> Parsed {
        self.chain("||", Parser::all, Expression::Any)
    }

    fn all(&mut self) -> Parsed {
        self.chain("&&", Parser::comparison, Expression::All)
    }

    /// One or more parts with the same operator between them.
    fn chain(
        &mut self,
        operator: &'static str,
        part: fn(&mut Self) -> Parsed,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Parsed {
        let first = part(self)?;
        if !self.at(operator) {
            return Ok(first);
        }
        let mut parts = vec![condition(first)?];
        while self.take(operator) {
            parts.push(condition(part(self)?)?);
        }
        Ok(join(parts))
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let Some(mut comparison) = self.comparison_operator() else {
            return Ok(left);
        };
        let right = self.sum()?;
        if self.comparison_operator().is_some() {
            return Err("comparisons do not chain".into());
        }
        if let (Comparison::Like(pattern), Expression::Text(text)) = (&mut comparison, &right) {
            *pattern = Some(Like::new(text));
        }
        Ok(Expression::Compare(Box::new(left), comparison, Box::new(right)))
    }

    fn comparison_operator(&mut self) -> Option<Comparison> {
        let comparison = match self.rest.first()? {
            Token::Like => Comparison::Like(None),
            Token::Contains => Comparison::Contains,
            Token::Symbol("==") => Comparison::Equal,
            Token::Symbol("!=") => Comparison::Unequal,
            Token::Symbol("<") => Comparison::Less,
            Token::Symbol("<=") => Comparison::AtMost,
            Token::Symbol(">") => Comparison::Greater,
            Token::Symbol(">=") => Comparison::AtLeast,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        Some(comparison)
    }

    fn sum(&mut self) -> Parsed {
        self.arithmetic(&[("+", Arithmetic::Add), ("-", Arithmetic::Subtract)], Parser::product)
    }

    fn product(&mut self) -> Parsed {
        let operators = [("*", Arithmetic::Multiply), ("/", Arithmetic::Divide), ("%", Arithmetic::Remainder)];
        self.arithmetic(&operators, Parser::prefixed)
    }

    fn arithmetic(&mut self, operators: &[(&'static str, Arithmetic)], part: fn(&mut Self) -> Parsed) -> Parsed {
        let first = part(self)?;
        let mut rest = Vec::new();
        while let Some((_, operator)) = operators.iter().find(|(symbol, _)| self.take(symbol)) {
            rest.push((*operator, part(self)?));
        }
        Ok(if rest.is_empty() { first } else { Expression::Arithmetic(Box::new(first), rest) })
    }

    fn prefixed(&mut self) -> Parsed {
        if self.take("!") {
            let inner = self.nested(Parser::prefixed)?;
            return Ok(Expression::Not(Box::new(condition(inner)?)));
        }
        if self.take("-") {
            return Ok(match self.nested(Parser::prefixed)? {
                Expression::Number(number) => Expression::Number(-number),
                inner => Expression::Negative(Box::new(inner)),
            });
        }
        self.operand()
    }

    fn operand(&mut self) -> Parsed {
        let Some((token, rest)) = self.rest.split_first() else {
            return Err("the expression ends too early".into());
        };
        self.rest = rest;
        match token {
            Token::Number(number) => Ok(Expression::Number(*number)),
            Token::Text(text) => Ok(Expression::Text(text.clone())),
            Token::Name(name) => self.field(name),
            Token::Symbol("(") => self.parenthesis(),
            Token::Symbol(_) | Token::Like | Token::Contains => Err(format!("unexpected {}", describe(Some(token)))),
        }
    }

    /// A condition or an operand in parentheses, or a list of literals.
    fn parenthesis(&mut self) -> Parsed {
        let first = self.nested(Parser::any)?;
        if !self.at(",") {
            self.expect(")")?;
            return Ok(first);
        }
        let mut list = vec![literal(first)?];
        while self.take(",") {
            list.push(literal(self.prefixed()?)?);
        }
        self.expect(")")?;
        Ok(Expression::List(list))
    }

    /// `meta.…`, `data.…`, or a bare name, which is a field of `meta`.
    fn field(&mut self, name: &str) -> Parsed {
        let (root, mut steps) = match name {
            "meta" => (Root::Meta, Vec::new()),
            "data" => (Root::Data, Vec::new()),
            name => (Root::Meta, vec![Step::Member(name.to_owned())]),
        };
        loop {
            if self.take(".") {
                steps.push(self.member()?);
            } else if self.take("[") {
                steps.push(self.index()?);
                self.expect("]")?;
            } else {
                return Ok(Expression::Field(root, steps));
            }
        }
    }

    fn member(&mut self) -> Result<Step, String> {
        let step = match self.rest.first() {
            Some(Token::Name(name)) => Step::Member(name.clone()),
            Some(Token::Like) => Step::Member("like".into()),
            Some(Token::Contains) => Step::Member("contains".into()),
            other => return Err(format!("expected a field name, found {}", describe(other))),
        };
        self.rest = &self.rest[1..];
        Ok(step)
    }

    fn index(&mut self) -> Result<Step, String> {
        let step = match self.rest.first() {
            Some(Token::Text(name)) => Step::Member(name.clone()),
            Some(Token::Number(number)) if number.fract() == 0.0 && *number < f64::from(u32::MAX) => {
                Step::Index(*number as usize)
            }
            other => return Err(format!("expected an index or a quoted name, found {}", describe(other))),
        };
        self.rest = &self.rest[1..];
        Ok(step)
    }

    fn nested(&mut self, part: fn(&mut Self) -> Parsed) -> Parsed {
        if self.depth == limits::FILTER_DEPTH {
            return Err(format!("nested deeper than {}", limits::FILTER_DEPTH));
        }
        self.depth += 1;
        let found = part(self);
        self.depth -= 1;
        found
    }

    fn at(&self, symbol: &str) -> bool {
        matches!(self.rest.first(), Some(Token::Symbol(found)) if *found == symbol)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.at(symbol);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(format!("expected `{symbol}`, found {}", describe(self.rest.first())))
        }
    }
}

/// Only what can be true may stand alone or be joined.
fn condition(expression: Expression) -> Parsed {
    if expression.is_condition() { Ok(expression) } else { Err("a condition was expected, not a value".into()) }
}

fn literal(expression: Expression) -> Result<Literal, String> {
    match expression {
        Expression::Number(number) => Ok(Literal::Number(number)),
        Expression::Text(text) => Ok(Literal::Text(text)),
        _ => Err("a list holds numbers and texts".into()),
    }
}

fn describe(token: Option<&Token>) -> String {
    match token {
        None => "the end".into(),
        Some(Token::Number(number)) => format!("the number {number}"),
        Some(Token::Text(_)) => "a text".into(),
        Some(Token::Name(name)) => format!("`{name}`"),
        Some(Token::Like) => "`LIKE`".into(),
        Some(Token::Contains) => "`CONTAINS`".into(),
        Some(Token::Symbol(symbol)) => format!("`{symbol}`"),
    }
}
