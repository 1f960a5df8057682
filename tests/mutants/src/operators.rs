//! What becomes of what, and what is left alone.

use syn::Expr;

/// Comparisons and what each becomes.
pub const COMPARISONS: [(&str, &[&str]); 6] = [
    ("==", &["!="]),
    ("!=", &["=="]),
    ("<", &["<=", ">"]),
    ("<=", &["<", ">="]),
    (">", &[">=", "<"]),
    (">=", &[">", "<="]),
];

/// Arithmetic and what it becomes.
pub const ARITHMETIC: [(&str, &str); 20] = [
    ("+", "-"),
    ("-", "+"),
    ("*", "+"),
    ("/", "*"),
    ("%", "/"),
    ("<<", ">>"),
    (">>", "<<"),
    ("&", "|"),
    ("|", "&"),
    ("^", "|"),
    ("+=", "-="),
    ("-=", "+="),
    ("*=", "+="),
    ("/=", "*="),
    ("%=", "/="),
    ("<<=", ">>="),
    (">>=", "<<="),
    ("&=", "|="),
    ("|=", "&="),
    ("^=", "|="),
];

/// Calls whose loss no test may notice: wiping of secrets, room in memory, logs and metrics.
pub const UNOBSERVED: [&str; 14] = [
    "zeroize",
    "reserve",
    "shrink_to_fit",
    "increment",
    "absolute",
    "record",
    "observe",
    "drop",
    "sleep",
    "metrics",
    "println",
    "abort",
    "black_box",
    "yield_now",
];

/// Traits whose code only shows a value.
pub const SHOWN: [&str; 3] = ["Display", "Debug", "LowerHex"];

/// Whether these attributes mark code for tests.
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        if path.is_ident("cfg") {
            let syn::Meta::List(list) = &attribute.meta else { return false };
            let words = list.tokens.to_string();
            let mut words = words.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.clone().any(|word| word == "test") && !words.any(|word| word == "not")
        } else {
            path.segments.last().is_some_and(|last| last.ident == "test")
        }
    })
}

/// Whether a condition has a `let` in it.
pub fn has_let(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// The last name of a path.
pub fn last_name(path: &syn::Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

/// The name of the function or method that a statement calls, through `?` and `await`.
pub fn called(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => Some(last_name(&path.path)),
            _ => None,
        },
        Expr::MethodCall(call) => Some(call.method.to_string()),
        Expr::Try(inner) => called(&inner.expr),
        Expr::Await(inner) => called(&inner.base),
        _ => None,
    }
}
