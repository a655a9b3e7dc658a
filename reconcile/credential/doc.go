// Package credential turns the names of secrets into their values, when the
// program runs.
//
// A fleet holds names only, such as "tokyo-bmc". A [Store] looks a name up in
// three places, and the first that has it wins:
//
//  1. the environment, for a shell or a CI job;
//  2. a folder, as Kubernetes, systemd (LoadCredential) and Vault's agent
//     provide it;
//  3. a helper command, for everything else (pass, op, vault, a script).
//
// A place that has the name but not all of it, or cannot be read, is an error
// and not a reason to look further: a password must not come from another
// place than its user name.
//
// # Environment
//
// A login "tokyo-bmc" is RECONCILE_CREDENTIAL_TOKYO_BMC_USERNAME and
// RECONCILE_CREDENTIAL_TOKYO_BMC_PASSWORD; a secret "root-hash" is
// RECONCILE_SECRET_ROOT_HASH. The name is in upper case, and everything but A
// to Z and 0 to 9 is "_".
//
// # Folder
//
// A login is DIR/tokyo-bmc/username and DIR/tokyo-bmc/password, or
// DIR/tokyo-bmc.json with {"username": …, "password": …}. A secret is the file
// DIR/root-hash, or DIR/root-hash/value. One newline at the end of a file is
// not part of the value. A file that others than its owner and group may read
// is used, with a warning.
//
// # Helper
//
// The helper is run as HELPER NAME and prints JSON: {"username": …,
// "password": …} for a login, {"value": …} for a secret. It exits with a
// status other than 0 when it has no such name; what it prints on its standard
// error becomes part of the error. No secret is ever among its arguments.
package credential
