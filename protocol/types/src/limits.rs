//! Every bound that replicas must agree on or that protects a replica from its input, each with its reason. Spec: `specs/limits.md`.

/// Bytes of one HTTP request body: an ingress message of [`INGRESS_BYTES_MAX`] plus its envelope.
pub const HTTP_BODY_BYTES_MAX: usize = 5 << 20;
/// Bytes of one ingress message as sent (its CBOR envelope). The Internet Computer allows 2 MiB; chunked installs need 1 MiB plus framing.
pub const INGRESS_BYTES_MAX: usize = 2 << 20;
/// Bytes of all ingress in one block when more than one message is in it; a typical block stays far below.
pub const BLOCK_INGRESS_BYTES_MAX: usize = 4 << 20;
/// Ingress messages in one block: bounds the signatures a replica verifies before it votes (about 30 ms here).
pub const BLOCK_INGRESS_COUNT_MAX: usize = 1_000;
/// Work of all signatures in one block, in units of 25 µs: bounds the time before a vote (half a second) where a leader shows calls
/// that nobody has checked before.
pub const BLOCK_SIGNATURE_UNITS_MAX: u32 = 20_000;
/// Calls in one block to built-in ledgers, for which nobody pays if they fail: what they can take of a block is this many places and
/// about 30 ms.
pub const BLOCK_UNPAID_CALLS_MAX: usize = 250;
/// Units of an Ed25519 or ECDSA signature.
pub const SIGNATURE_UNITS: u32 = 4;
/// Units of a WebAuthn signature: up to RSA with the longest key.
pub const SIGNATURE_UNITS_WEBAUTHN: u32 = 16;
/// Units of a canister signature: two threshold signatures, the certificate's and that of its delegation.
pub const SIGNATURE_UNITS_CANISTER: u32 = 64;
/// Bytes of a whole encoded block, with room for its header and control part.
pub const BLOCK_BYTES_MAX: usize = BLOCK_INGRESS_BYTES_MAX + (256 << 10);
/// Bytes of an argument or reply of a call between canisters or of a reply to a client.
pub const PAYLOAD_BYTES_MAX: usize = 2 << 20;
/// CBOR nesting a request may have; the deepest honest one (delegations) has 6.
pub const CBOR_DEPTH_MAX: usize = 16;
/// How far in the future an ingress message may expire: 5 minutes, as in the interface specification.
pub const INGRESS_EXPIRY_MAX_NANOS: u64 = 5 * 60 * 1_000_000_000;
/// Leeway for clients whose clocks run ahead.
pub const INGRESS_EXPIRY_DRIFT_NANOS: u64 = 60 * 1_000_000_000;
/// Delegations in one chain.
pub const DELEGATIONS_MAX: usize = 20;
/// Canisters a delegation may name.
pub const DELEGATION_TARGETS_MAX: usize = 1_000;
/// Canister signatures in one request; a login needs one.
pub const CANISTER_SIGNATURES_MAX: usize = 3;
/// Bytes of a canister signature; a certificate with a delegation has about 3 KiB.
pub const CANISTER_SIGNATURE_BYTES_MAX: usize = 64 << 10;
/// Bytes of what a canister says about the sender of a request (`sender_info`): kept with the call until it has ended.
pub const SENDER_INFO_BYTES_MAX: usize = 64 << 10;
/// Bytes of a user's key in DER: the longest RSA key has 550, a canister's seed takes what is left.
pub const USER_KEY_BYTES_MAX: usize = 1_024;
/// Bits of an RSA key at least; authenticators make keys of 2,048.
pub const RSA_BITS_MIN: usize = 2_048;
/// Bits of an RSA key at most: four times the work of the shortest.
pub const RSA_BITS_MAX: usize = 4_096;
/// Bytes of a WebAuthn signature with all its parts.
pub const WEBAUTHN_SIGNATURE_BYTES_MAX: usize = 8 << 10;
/// Bytes of the client data in it: an origin, a challenge and what browsers add.
pub const CLIENT_DATA_BYTES_MAX: usize = 4 << 10;
/// Bytes of the authenticator data in it, extensions included.
pub const AUTHENTICATOR_DATA_BYTES_MAX: usize = 1 << 10;
/// Bytes of a nonce.
pub const NONCE_BYTES_MAX: usize = 32;
/// Paths of one read_state request.
pub const READ_STATE_PATHS_MAX: usize = 1_000;
/// Labels of one path.
pub const READ_STATE_LABELS_MAX: usize = 127;
/// Bytes of a method name.
pub const METHOD_NAME_BYTES_MAX: usize = 20_000;

/// How long a call of `stop_canister` waits for open calls to end: as on the Internet Computer.
pub const STOP_CANISTER_NANOS_MAX: u64 = 5 * 60 * 1_000_000_000;
/// Instructions of one update, callback, timer or heartbeat: as on the Internet Computer, about 20 s of work here.
pub const UPDATE_INSTRUCTIONS_MAX: u64 = 40_000_000_000;
/// Instructions of one message in one round: some 10 ms of usual code, 1.2 s of the slowest that we could make; what needs more
/// goes on in the next, so that a block stays short.
pub const SLICE_INSTRUCTIONS: u64 = 100_000_000;
/// Paused messages that take turns with their slices; the others wait. Bounds the runs that a replica keeps, each up to a heap.
pub const PAUSED_ACTIVE_MAX: usize = 4;
/// Instructions of the cleanup after a callback that trapped, a slice at most; set aside together with the callback's own.
pub const CLEANUP_INSTRUCTIONS_MAX: u64 = SLICE_INSTRUCTIONS;
/// Calls that all canisters of one composite query make together.
pub const COMPOSITE_CALLS_MAX: usize = 500;
/// Canisters that may wait for each other in one composite query.
pub const COMPOSITE_DEPTH_MAX: usize = 6;
/// Instructions of one query.
pub const QUERY_INSTRUCTIONS_MAX: u64 = 5_000_000_000;
/// Instructions of an install or upgrade, start function and hooks together: as on the Internet Computer. They run in slices.
pub const INSTALL_INSTRUCTIONS_MAX: u64 = 300_000_000_000;
/// What compiling a module, and looking at it, may cost in instructions: about 10 s of work here.
pub const COMPILE_INSTRUCTIONS_MAX: u64 = 20_000_000_000;
/// Real time, in nanoseconds, that replicas are given for each 1,000 instructions that compiling a module weighs, if it is
/// not compiled at once: three times what modules of usual compilers take here, and more than the worst one that we could make.
pub const COMPILE_NANOS_PER_1000_INSTRUCTIONS: u64 = 1_500;
/// A module waits in the lane for a block at least for each so many instructions of its weight, whatever clocks say.
pub const COMPILE_BLOCK_INSTRUCTIONS: u64 = 1_000_000_000;
/// What a module may weigh that is compiled in the round of its call (about 35 ms); others wait in the lane.
pub const COMPILE_AT_ONCE_INSTRUCTIONS_MAX: u64 = 50_000_000;
/// A round begins no more calls of built-in canisters once it has compiled so much: about 0.1 s, and 0.4 s if it is the worst that we
/// could make.
pub const COMPILE_ROUND_INSTRUCTIONS_MAX: u64 = 150_000_000;
/// How long compiling the modules may take that calls of one sender wait for; clients wait five minutes.
pub const PREPARING_NANOS_MAX: u64 = 3 * 60 * 1_000_000_000;
/// Installs of one sender that wait for compilations.
pub const PREPARING_SENDER_MAX: usize = 50;
/// Bytes of these, with their modules: any one fits.
pub const PREPARING_SENDER_BYTES_MAX: u64 = 128 << 20;
/// Bytes of all of them.
pub const PREPARING_BYTES_MAX: u64 = 1 << 30;
/// Installs that wait for compilations, those of equal modules included.
pub const PREPARING_MAX: usize = 1_000;
/// Instructions of `canister_inspect_message`.
pub const INSPECT_INSTRUCTIONS_MAX: u64 = 200_000_000;
/// A round begins no more calls of built-in canisters once these have used so many instructions: looking at modules takes some
/// 1.4 ns for each, several times as long as running code.
pub const ROUND_SYSTEM_INSTRUCTIONS_MAX: u64 = 200_000_000;
/// A round takes no new message once those before it ran so many different modules: one that is not in memory is mapped from its
/// file, 0.9 ms for one of 8 MB.
pub const ROUND_MODULES_MAX: usize = 250;
/// A round takes no new message once it has used this many instructions: with a paused message's slice and the last one's it is 5
/// s of the slowest code that we could make.
pub const ROUND_INSTRUCTIONS_MAX: u64 = 200_000_000;
/// Messages a round executes at most, so that cheap messages cannot stretch a block either.
pub const ROUND_MESSAGES_MAX: usize = 20_000;
/// Canisters that are awake, those that ran last: nobody pays for waking them. Every replica keeps their live instances, so its
/// pool is larger.
pub const AWAKE_CANISTERS_MAX: usize = 256;
/// Bytes of pages of their heaps together; the one that ran last is awake in any case.
pub const AWAKE_BYTES_MAX: u64 = 2 << 30;

/// Bytes of a Wasm page.
pub const WASM_PAGE_BYTES: u64 = 65_536;
/// Bytes of a heap, 32 and 64 bit alike: one memory slot's size.
pub const HEAP_BYTES_MAX: u64 = 4 << 30;
/// Bytes of stable memory of one canister.
pub const STABLE_BYTES_MAX: u64 = 16 << 30;
/// Bytes of a module (after gunzip).
pub const MODULE_BYTES_MAX: usize = 100 << 20;
/// Bytes of a module's code section.
pub const MODULE_CODE_BYTES_MAX: usize = 12 << 20;
/// Functions a module defines.
pub const MODULE_FUNCTIONS_MAX: usize = 50_000;
/// Globals a module defines.
pub const MODULE_GLOBALS_MAX: usize = 1_000;
/// Entries of all tables of a module.
pub const MODULE_TABLE_ENTRIES_MAX: u64 = 1_000_000;
/// Locals and parameters of one function.
pub const FUNCTION_LOCALS_MAX: usize = 10_000;
/// Bytes of one function's body.
pub const FUNCTION_BYTES_MAX: usize = 1_000_000;
/// Operators of one function; real ones have up to 30,000. A compiler's own bounds (2^21 values) lie beyond what these can make.
pub const FUNCTION_OPERATORS_MAX: u64 = 200_000;
/// What one function may weigh when it is compiled, in units of about one plain operator (`wasm.md`): compiling one is about 3 s at most.
pub const FUNCTION_UNITS_MAX: u64 = 1_000_000;
/// Exported methods of a module.
pub const MODULE_METHODS_MAX: usize = 1_000;
/// Bytes of all exported method names together.
pub const MODULE_METHOD_NAMES_BYTES_MAX: usize = 20_000;
/// `icp:` custom sections of a module.
pub const MODULE_CUSTOM_SECTIONS_MAX: usize = 16;
/// Bytes of all `icp:` custom sections together.
pub const MODULE_CUSTOM_SECTIONS_BYTES_MAX: usize = 1 << 20;
/// Stack slots of 8 bytes a call chain may use; the host stack is sized so that this trips first on every engine.
pub const STACK_SLOTS_MAX: i64 = 1 << 20;

/// Messages waiting in one canister's input queue; calls reserve room for their responses beyond it.
pub const CANISTER_QUEUE_MAX: usize = 5_000;
/// Bytes of messages waiting in one canister's input queue, responses not counted.
pub const CANISTER_QUEUE_BYTES_MAX: u64 = 64 << 20;
/// Calls to built-in canisters that wait, all together.
pub const SYSTEM_QUEUE_MAX: u64 = 10_000;
/// Bytes of these together.
pub const SYSTEM_QUEUE_BYTES_MAX: u64 = 256 << 20;
/// What is free of the first half of both is divided by this: a sender who has less waiting may send more. The other half is for
/// the first calls of senders who have none.
pub const SYSTEM_QUEUE_SHARE: u64 = 4;
/// How long a window lasts in which a canister's limits on calls from outside count.
pub const CALL_POLICY_WINDOW_NANOS: u64 = 60 * 60 * 1_000_000_000;
/// Callers whose calls are counted each on its own in a window; all others count together.
pub const CALL_POLICY_CALLERS_MAX: usize = 1_000;
/// Calls of one canister still waiting for a response.
pub const CANISTER_CALLBACKS_MAX: usize = 5_000;
/// Bytes of certified data.
pub const CERTIFIED_DATA_BYTES_MAX: usize = 32;
/// Controllers of a canister.
pub const CONTROLLERS_MAX: usize = 10;
/// Environment variables of a canister.
pub const ENVIRONMENT_VARIABLES_MAX: usize = 20;
/// Bytes of an environment variable's name or value.
pub const ENVIRONMENT_VARIABLE_BYTES_MAX: usize = 128;
/// Bytes of a chunk.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Chunks a canister's chunk store holds.
pub const CHUNKS_MAX: usize = 100;
/// Snapshots of a canister, as on the Internet Computer.
pub const SNAPSHOTS_MAX: usize = 10;
/// Instructions that a call about a snapshot costs apart from its size.
pub const SNAPSHOT_BASE_INSTRUCTIONS: u64 = 2_000_000;
/// Bytes of a snapshot that one instruction more is charged for when it is taken or loaded: pages are shared and not copied; the next message after a load pays for waking the canister.
pub const SNAPSHOT_BYTES_PER_INSTRUCTION: u64 = 8;
/// Instructions that taking or loading the largest snapshot costs.
pub const SNAPSHOT_INSTRUCTIONS_MAX: u64 = 3_000_000_000;
/// Blocks that a built-in token ledger keeps, about 500 bytes each; older ones are forgotten.
pub const LEDGER_BLOCKS_MAX: u64 = 20_000;
/// Bytes of log records kept per canister.
pub const LOG_BYTES_MAX: usize = 4 << 10;
/// Log records kept per canister, so that empty lines are bounded too.
pub const LOG_RECORDS_MAX: usize = 1_000;
/// Changes a canister's history keeps.
pub const HISTORY_MAX: usize = 20;
/// How long a reply is kept after a call ended; then its status is `done` until the request expires.
pub const REPLY_RETENTION_NANOS: u64 = 5 * 60 * 1_000_000_000;
/// Bytes of all outcomes kept together; beyond it the oldest become `done` early (bounds memory against large replies).
pub const INGRESS_OUTCOME_BYTES_MAX: u64 = 1 << 30;
/// Requests whose status is remembered; induction rejects beyond it (bounds the hottest structure's memory).
pub const INGRESS_HISTORY_MAX: usize = 1_500_000;

/// Bytes of storage that canisters of a subnet take together, unless its genesis file says otherwise: a node needs some twice this
/// on its disk, for two checkpoints.
pub const SUBNET_STORAGE_BYTES: u64 = 256 << 30;

/// Heights by which a block may be ahead of what it says is certified before its round runs nothing. Three are usual; so rounds that take
/// long are as few as replicas can execute, and a slow one keeps others waiting for some rounds and not for all that follow.
pub const CERTIFICATION_DISTANCE_ROUND: u64 = 5;
/// Heights that may be finalized but not certified before proposals must be empty.
pub const CERTIFICATION_DISTANCE_MAX: u64 = 8;
/// Heights finalized but not certified beyond which the gateway answers 503.
pub const CERTIFICATION_DISTANCE_GATEWAY: u64 = 32;
