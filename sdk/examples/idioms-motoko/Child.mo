/// A counter that other canisters make: a canister with code, created by evaluating a class.
persistent actor class Child() {
  var value : Nat = 0;

  public func inc() : async Nat { value += 1; value };

  public query func get() : async Nat { value };
};
