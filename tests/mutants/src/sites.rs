//! Finds what can be mutated in one source file.
//!
//! A site is a range of the text and what it may become. Text is only ever inserted around it, so
//! sites nest freely: a branch of a mutant repeats the original text of its site with the one
//! change, the last branch keeps the text with every site inside it.

use crate::operators::{
    ARITHMETIC, COMPARISONS, SHOWN, UNOBSERVED, called, has_let, is_test, last_name,
};
use proc_macro2::Span;
use std::ops::Range;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, ImplItemFn, ItemFn, ReturnType, Signature, Stmt, Token, Type, UnOp};

/// How the branches of a site are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An expression, replaced by another.
    Expression,
    /// A condition, made true or false.
    Condition,
    /// A condition with `let`, made false.
    LetCondition,
    /// A statement, dropped.
    Statement,
    /// The start of a function's body: it returns a value at once.
    Entry,
}

/// One thing a site may become.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The kind of change, for the summary.
    pub operator: &'static str,
    /// The text in place of the site's.
    pub text: String,
}

/// A place in a file.
#[derive(Debug, Clone)]
pub struct Site {
    /// Bytes of the original text; empty for an entry.
    pub range: Range<usize>,
    /// How it is written.
    pub form: Form,
    /// The original text as the table shows it, on one line.
    pub original: String,
    /// Type and function around it.
    pub function: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What it may become.
    pub choices: Vec<Choice>,
}

/// All sites of a file, outer before inner, and the modules it declares.
pub struct Found {
    /// The sites.
    pub sites: Vec<Site>,
    /// Names of out-of-line modules outside tests, each with the inline modules around it.
    pub modules: Vec<Vec<String>>,
}

/// Reads a file's text.
pub fn find(source: &str) -> syn::Result<Found> {
    let file = syn::parse_file(source)?;
    let mut finder = Finder {
        source,
        sites: Vec::new(),
        modules: Vec::new(),
        inline: Vec::new(),
        names: Vec::new(),
        frozen: false,
    };
    finder.visit_file(&file);
    Ok(Found { sites: finder.sites, modules: finder.modules })
}

/// One line, single spaces.
pub fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Finder<'s> {
    source: &'s str,
    sites: Vec<Site>,
    modules: Vec<Vec<String>>,
    inline: Vec<String>,
    names: Vec<String>,
    /// Inside a constant: only closures' bodies run at run time.
    frozen: bool,
}

impl Finder<'_> {
    fn text(&self, span: Span) -> &str {
        &self.source[span.byte_range()]
    }

    fn add(&mut self, form: Form, span: Span, original: String, choices: Vec<Choice>) {
        if self.frozen || choices.is_empty() {
            return;
        }
        let (start, mut range) = (span.start(), span.byte_range());
        if form == Form::Entry {
            range = range.start + 1..range.start + 1;
        }
        self.sites.push(Site {
            range,
            form,
            original,
            function: self.names.join("::"),
            line: start.line,
            column: start.column + 1,
            choices,
        });
    }

    fn replace(&mut self, span: Span, operator: &'static str, texts: Vec<String>) {
        let original = flat(self.text(span));
        let choices = texts.into_iter().map(|text| Choice { operator, text }).collect();
        self.add(Form::Expression, span, original, choices);
    }

    fn condition(&mut self, keyword: &str, condition: &Expr, truths: &[&str]) {
        let original = format!("{keyword} {}", flat(self.text(condition.span())));
        let form = if has_let(condition) { Form::LetCondition } else { Form::Condition };
        let truths = truths.iter().filter(|t| form == Form::Condition || **t == "false");
        let choices = truths.map(|t| Choice { operator: "condition", text: (*t).into() }).collect();
        self.add(form, condition.span(), original, choices);
    }

    fn entry(&mut self, signature: &Signature, block: &Block) {
        let ReturnType::Type(_, returned) = &signature.output else { return };
        let Type::Path(path) = &**returned else { return };
        let values: &[&str] = match (last_name(&path.path).as_str(), &path.path.segments.last()) {
            ("bool", _) => &["true", "false"],
            ("Result", Some(segment)) => {
                let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                    return;
                };
                match arguments.args.first() {
                    Some(syn::GenericArgument::Type(Type::Tuple(t))) if t.elems.is_empty() => {
                        &["Ok(())"]
                    }
                    Some(syn::GenericArgument::Type(Type::Path(p))) if p.path.is_ident("bool") => {
                        &["Ok(true)", "Ok(false)"]
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        let original = format!("fn {}", signature.ident);
        let choices =
            values.iter().map(|v| Choice { operator: "function", text: (*v).into() }).collect();
        self.add(Form::Entry, block.span(), original, choices);
    }

    /// A body of its own: not constant, and named.
    fn body(&mut self, name: String, signature: &Signature, block: &Block) {
        if signature.constness.is_some() {
            return;
        }
        self.names.push(name);
        let frozen = std::mem::replace(&mut self.frozen, false);
        self.entry(signature, block);
        self.visit_block(block);
        self.frozen = frozen;
        self.names.pop();
    }

    fn freeze(&mut self, expression: &Expr) {
        let frozen = std::mem::replace(&mut self.frozen, true);
        self.visit_expr(expression);
        self.frozen = frozen;
    }

    fn binary(&mut self, binary: &syn::ExprBinary) {
        if has_let(&binary.left) || has_let(&binary.right) {
            return;
        }
        let token = self.text(binary.op.span()).to_owned();
        let (left, right) = (self.text(binary.left.span()), self.text(binary.right.span()));
        let with = |op: &str| format!("({left}) {op} ({right})");
        let (operator, texts) = match &binary.op {
            BinOp::And(_) => ("logical", vec![with("||")]),
            BinOp::Or(_) => ("logical", vec![with("&&")]),
            _ => match COMPARISONS.iter().find(|(from, _)| *from == token) {
                Some((_, to)) => ("comparison", to.iter().map(|op| with(op)).collect()),
                None => {
                    let found = ARITHMETIC.iter().find(|(from, _)| *from == token);
                    (
                        "arithmetic",
                        found
                            .iter()
                            .map(|(_, op)| {
                                // The left side of an assignment stays a place.
                                if op.ends_with('=') {
                                    format!("{left} {op} {right}")
                                } else {
                                    with(op)
                                }
                            })
                            .collect(),
                    )
                }
            },
        };
        self.replace(binary.span(), operator, texts);
    }

    fn statement(&mut self, expression: &Expr, span: Span) {
        let dropped = match expression {
            // A local must be set before its use.
            Expr::Assign(assign) => {
                matches!(&*assign.left, Expr::Field(_) | Expr::Index(_) | Expr::Unary(_))
            }
            _ => match called(expression) {
                Some(name) => !UNOBSERVED.contains(&name.as_str()),
                None => false,
            },
        };
        let original = flat(self.text(span));
        let shown = ["metrics", "tracing", "progress"].iter().any(|word| original.contains(word));
        if dropped && !shown {
            let choice = Choice { operator: "statement", text: String::new() };
            self.add(Form::Statement, span, original, vec![choice]);
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        use syn::Item;
        let attributes = match item {
            Item::Mod(i) => &i.attrs,
            Item::Fn(i) => &i.attrs,
            Item::Impl(i) => &i.attrs,
            Item::Trait(i) => &i.attrs,
            Item::Const(i) => &i.attrs,
            Item::Static(i) => &i.attrs,
            _ => return,
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.inline.push(item.ident.to_string());
        match &item.content {
            Some((_, items)) => items.iter().for_each(|item| self.visit_item(item)),
            None => self.modules.push(self.inline.clone()),
        }
        self.inline.pop();
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some((_, path, _)) = &item.trait_
            && SHOWN.contains(&last_name(path).as_str())
        {
            return;
        }
        let name = match &*item.self_ty {
            Type::Path(path) => last_name(&path.path),
            other => flat(self.text(other.span())),
        };
        self.names.push(name);
        item.items.iter().for_each(|item| self.visit_impl_item(item));
        self.names.pop();
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.names.push(item.ident.to_string());
        item.items.iter().for_each(|item| self.visit_trait_item(item));
        self.names.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test(&item.attrs) {
            self.body(item.sig.ident.to_string(), &item.sig, &item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test(&item.attrs) {
            self.body(item.sig.ident.to_string(), &item.sig, &item.block);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.body(item.sig.ident.to_string(), &item.sig, block);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.freeze(&item.expr);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.names.push(item.ident.to_string());
        self.freeze(&item.expr);
        self.names.pop();
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.freeze(&item.expr);
    }

    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_path_arguments(&mut self, _: &'ast syn::PathArguments) {}
    fn visit_angle_bracketed_generic_arguments(
        &mut self,
        _: &'ast syn::AngleBracketedGenericArguments,
    ) {
    }
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        let frozen = std::mem::replace(&mut self.frozen, false);
        self.visit_expr(&closure.body);
        self.frozen = frozen;
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        self.binary(binary);
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        let literal = matches!(&*unary.expr, Expr::Lit(_));
        if !matches!(unary.op, UnOp::Deref(_)) && !literal {
            let inner = self.text(unary.expr.span()).to_owned();
            self.replace(unary.span(), "negation", vec![inner]);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_if(&mut self, conditional: &'ast syn::ExprIf) {
        self.condition("if", &conditional.cond, &["true", "false"]);
        visit::visit_expr_if(self, conditional);
    }

    fn visit_expr_while(&mut self, conditional: &'ast syn::ExprWhile) {
        self.condition("while", &conditional.cond, &["false"]);
        visit::visit_expr_while(self, conditional);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Some((_, guard)) = &arm.guard
            && !has_let(guard)
        {
            self.condition("if", guard, &["true", "false"]);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_stmt(&mut self, stmt: &'ast Stmt) {
        if let Stmt::Expr(expression, Some(_)) = stmt {
            self.statement(expression, stmt.span());
        }
        visit::visit_stmt(self, stmt);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        let name = last_name(&called.path);
        if name == "matches" {
            let span = called.span();
            let negated = format!("!{}", self.text(span));
            self.replace(span, "negation", vec![negated]);
        }
        if name == "vec"
            && let Ok(parts) =
                called.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        {
            parts.iter().for_each(|part| self.visit_expr(part));
        }
    }
}
