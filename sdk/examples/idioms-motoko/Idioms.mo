/// Motoko's own idioms, for conformance tests. Interface: `../idioms.did`.

import CertifiedData "mo:core/CertifiedData";
import Cycles "mo:core/Cycles";
import Error "mo:core/Error";
import List "mo:core/List";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Text "mo:core/Text";
import Timer "mo:core/Timer";
import Child "Child";

persistent actor {
  type Peer = actor {
    note : (Text) -> async ();
    get : query (Text) -> async ?Nat;
    trap_now : () -> async ();
    refuse : (Text) -> async ();
    accept : (Nat) -> async Nat;
    accept_and_trap : (Nat) -> async ();
    hold : () -> async ();
  };

  type Counter = actor { inc : () -> async Nat };

  transient let management : actor { raw_rand : () -> async Blob } = actor "aaaaa-aa";

  func at(peer : Principal) : Peer { actor (Principal.toText peer) };

  // What survives an upgrade: everything that is not transient.
  let lines = List.empty<Text>();
  let map = Map.empty<Text, Nat>();
  var isNew = true;
  var tickCount : Nat = 0;
  var isTicking = false;
  transient var beatCount : Nat = 0;
  transient var isLocked = false;
  transient var number : Nat = 0;
  transient var isHeld = false;

  if (isNew) {
    isNew := false;
    List.add(lines, "installed");
  };

  system func preupgrade() { List.add(lines, "before the upgrade") };

  system func postupgrade() { List.add(lines, "after the upgrade") };

  public func note(line : Text) : async () { List.add(lines, line) };

  public query func journal() : async [Text] { List.toArray lines };

  public func put(key : Text, value : Nat) : async ?Nat { Map.swap(map, Text.compare, key, value) };

  public query func get(key : Text) : async ?Nat { Map.get(map, Text.compare, key) };

  // Timers do not survive an upgrade by themselves: the actor's body runs again and starts them.
  func tick<system>() {
    ignore Timer.recurringTimer<system>(#seconds 1, func() : async () { tickCount += 1 });
  };

  if (isTicking) { tick<system>() };

  public func start_ticking() : async () {
    isTicking := true;
    tick<system>();
  };

  public query func ticks() : async Nat { tickCount };

  system func heartbeat() : async () { beatCount += 1 };

  public query func beats() : async Nat { beatCount };

  public func trap_now() : async () {
    List.add(lines, "lost");
    Runtime.trap("trapped on purpose");
  };

  public func refuse(reason : Text) : async () {
    List.add(lines, "refused");
    throw Error.reject(reason);
  };

  public func trap_before_await(peer : Principal) : async () {
    List.add(lines, "lost");
    ignore at(peer).note("never sent");
    Runtime.trap("trapped before an await");
  };

  public func trap_after_await(peer : Principal) : async () {
    List.add(lines, "kept");
    await at(peer).note("sent");
    List.add(lines, "lost");
    Runtime.trap("trapped after an await");
  };

  public func trap_with_lock(peer : Principal) : async () {
    if (isLocked) { Runtime.trap("locked already") };
    isLocked := true;
    try {
      await at(peer).note("while locked");
      Runtime.trap("trapped while locked");
    } finally {
      isLocked := false;
    };
  };

  public query func locked() : async Bool { isLocked };

  func code(error : Error.Error) : Nat32 {
    switch (Error.code error) {
      case (#system_fatal) { 1 };
      case (#system_transient) { 2 };
      case (#destination_invalid) { 3 };
      case (#canister_reject) { 4 };
      case (#canister_error) { 5 };
      case (#system_unknown) { 6 };
      case (#future(code)) { code };
      case (#call_error({ err_code })) { err_code };
    };
  };

  public func call_trapping(peer : Principal) : async (Nat32, Text) {
    List.add(lines, "kept");
    try {
      await at(peer).trap_now();
      (0, "");
    } catch (error) { (code error, Error.message error) };
  };

  public func call_refusing(peer : Principal, reason : Text) : async (Nat32, Text) {
    try {
      await at(peer).refuse(reason);
      (0, "");
    } catch (error) { (code error, Error.message error) };
  };

  public func accept(maximum : Nat) : async Nat { Cycles.accept<system>(maximum) };

  public func accept_and_trap(maximum : Nat) : async () {
    ignore Cycles.accept<system>(maximum);
    Runtime.trap("trapped with the cycles");
  };

  public func give(peer : Principal, cycles : Nat, maximum : Nat) : async (Nat, Nat) {
    let accepted = await (with cycles) at(peer).accept(maximum);
    (accepted, Cycles.refunded());
  };

  // After an error, Motoko does not tell what was refunded; the balance does.
  public func give_to_trap(peer : Principal, cycles : Nat) : async Bool {
    let before = Cycles.balance();
    try {
      await (with cycles) at(peer).accept_and_trap(cycles);
      Runtime.trap("the peer traps");
    } catch (_) { Cycles.balance() + cycles / 2 > before };
  };

  public func sum_down(from : Nat) : async Nat {
    if (from == 0) { 0 } else { from + (await sum_down(from - 1)) };
  };

  public func bump_slowly(peer : Principal) : async () {
    let before = number;
    await at(peer).note("bump");
    number := before + 1;
  };

  public func race(peer : Principal) : async Nat {
    number := 0;
    let one = bump_slowly(peer);
    let two = bump_slowly(peer);
    await one;
    await two;
    number;
  };

  public composite query func total(peers : [Principal], key : Text) : async Nat {
    var sum = 0;
    for (peer in peers.vals()) {
      switch (await at(peer).get(key)) {
        case (?value) { sum += value };
        case null {};
      };
    };
    sum;
  };

  public func spawn(cycles : Nat) : async Principal {
    Principal.fromActor(await (with cycles) Child.Child());
  };

  public func inc_child(child : Principal) : async Nat {
    let counter : Counter = actor (Principal.toText child);
    await counter.inc();
  };

  public func hold() : async () {
    isHeld := true;
    // Answered at a later height, so this does not keep the subnet busy.
    while (isHeld) { ignore await management.raw_rand() };
  };

  public func release() : async () { isHeld := false };

  public func hold_bounded(peer : Principal) : async Nat32 {
    try {
      await (with timeout = 1) at(peer).hold();
      0;
    } catch (error) { code error };
  };

  public func note_bounded(peer : Principal, line : Text) : async Bool {
    try {
      await (with timeout = 60) at(peer).note(line);
      true;
    } catch (_) { false };
  };

  public func note_one_way(peer : Principal, line : Text) : async () { ignore at(peer).note(line) };

  public func guarded() : async () {};

  public func certify(data : Blob) : async () { CertifiedData.set(data) };

  public query func certificate() : async ?Blob { CertifiedData.getCertificate() };

  type Method = {
    #accept : Any; #accept_and_trap : Any; #beats : Any; #bump_slowly : Any; #call_refusing : Any; #call_trapping : Any;
    #certificate : Any; #certify : Any; #get : Any; #give : Any; #give_to_trap : Any; #hold : Any; #hold_bounded : Any;
    #inc_child : Any; #journal : Any; #locked : Any; #note : Any; #note_bounded : Any; #note_one_way : Any; #put : Any;
    #race : Any; #refuse : Any; #release : Any; #spawn : Any; #start_ticking : Any; #sum_down : Any; #ticks : Any;
    #trap_after_await : Any; #trap_before_await : Any; #trap_now : Any; #trap_with_lock : Any; #guarded : Any;
  };

  system func inspect({ caller : Principal; msg : Method }) : Bool {
    switch msg {
      case (#guarded _) { not Principal.isAnonymous caller };
      case _ { true };
    };
  };
};
