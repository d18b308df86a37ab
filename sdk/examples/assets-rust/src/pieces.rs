//! A file that is handed out in pieces through a streaming callback, and certified as a whole.

use std::{cell::RefCell, rc::Rc};

use candid::{CandidType, Deserialize};
use ic_asset_certification::AssetRouter;
use ic_http_certification::{
    CERTIFICATE_EXPRESSION_HEADER_NAME, DefaultCelBuilder, DefaultResponseCertification,
    DefaultResponseOnlyCelExpression, HttpCertification, HttpCertificationPath, HttpCertificationTree,
    HttpCertificationTreeEntry, HttpResponse, utils::add_v2_certificate_header,
};
use serde_bytes::ByteBuf;

use crate::{Answer, counting_lines};

/// Where it is served.
pub(crate) const PATH: &str = "/pieces.txt";
/// Bytes of the file, and of one piece.
const BYTES: usize = 400_000;
const PIECE_BYTES: usize = 100_000;

/// Which piece is next.
#[derive(CandidType, Deserialize)]
pub(crate) struct Token {
    piece: u32,
}

/// A piece, and how to get the one after it.
#[derive(CandidType)]
pub(crate) struct Piece {
    body: ByteBuf,
    token: Option<Token>,
}

candid::define_function!(pub(crate) NextPiece : (Token) -> (Piece) query);

/// How to get the rest of the file.
#[derive(CandidType)]
pub(crate) enum StreamingStrategy {
    Callback { callback: NextPiece, token: Token },
}

fn expression() -> DefaultResponseOnlyCelExpression<'static> {
    DefaultCelBuilder::response_only_certification()
        .with_response_certification(DefaultResponseCertification::certified_response_headers(vec!["content-type"]))
        .build()
}

/// The file as one answer.
fn whole() -> HttpResponse<'static> {
    let headers = vec![
        ("content-type".into(), "text/plain".into()),
        (CERTIFICATE_EXPRESSION_HEADER_NAME.into(), expression().to_string()),
    ];
    HttpResponse::ok(counting_lines(BYTES), headers).build()
}

fn certification() -> HttpCertification {
    HttpCertification::response_only(&expression(), &whole(), None).expect("the expression is among the headers")
}

fn entry(certification: &HttpCertification) -> HttpCertificationTreeEntry<'static> {
    HttpCertificationTreeEntry::new(HttpCertificationPath::exact(PATH), *certification)
}

thread_local! {
    static TREE: Rc<RefCell<HttpCertificationTree>> = Rc::default();
}

/// A router whose tree certifies the file, for more files to come.
pub(crate) fn certified() -> AssetRouter<'static> {
    let tree = TREE.with(Rc::clone);
    tree.borrow_mut().insert(&entry(&certification()));
    AssetRouter::with_tree(tree)
}

/// The first piece, under the certificate of the whole.
pub(crate) fn answer(certificate: &[u8]) -> Answer {
    let mut response = whole();
    let entry = entry(&certification());
    let witness = TREE.with(|tree| tree.borrow().witness(&entry, PATH)).expect("the file is in the tree");
    add_v2_certificate_header(certificate, &mut response, &witness, &entry.path.to_expr_path());
    let callback = NextPiece::new(ic_cdk::api::canister_self(), "next_piece".into());
    let mut answer =
        Answer::certified(response, Some(StreamingStrategy::Callback { callback, token: Token { piece: 1 } }));
    answer.body = next(Token { piece: 0 }).body;
    answer
}

/// A piece.
pub(crate) fn next(token: Token) -> Piece {
    let whole = counting_lines(BYTES);
    let mut pieces = whole.chunks(PIECE_BYTES).skip(token.piece as usize);
    let body = ByteBuf::from(pieces.next().unwrap_or_default());
    Piece { body, token: pieces.next().map(|_| Token { piece: token.piece + 1 }) }
}
