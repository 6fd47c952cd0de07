package npm_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
	"github.com/custody-log/custody/internal/registry/npm"
)

func TestLogin(t *testing.T) {
	const path = "/-/user/org.couchdb.user:alice"
	withEmail := strings.Replace(loginBody, `"type"`, `"email":"alice@example.com","type"`, 1)
	otp := map[string]string{"Authorization": "Bearer npm_demotokendemotoken", "Npm-Otp": "739154"}
	tests := []struct {
		name string
		talk talk
		want string
	}{
		{
			"a password",
			talk{path: path, body: loginBody, status: 201, answer: `{"ok":"you are authenticated as 'alice'","token":"t"}`},
			`user:login:success success by user:alice with password user=alice {"auth_method":"password"}`,
		},
		{
			"an old revision",
			talk{path: path + "/-rev/1-a", body: loginBody, status: 201, answer: `{"ok":true,"token":"t"}`},
			`user:login:success success by user:alice with password user=alice {"auth_method":"password"}`,
		},
		{
			"a second factor",
			talk{path: path, header: otp, body: loginBody, status: 201, answer: `{"ok":true,"token":"t"}`},
			`user:login:success success by user:alice with password+otp user=alice {"auth_method":"password","mfa_method":"otp"}`,
		},
		{
			"a second factor that did not do",
			talk{path: path, header: otp, body: loginBody, status: 401, answerHeader: map[string]string{"WWW-Authenticate": "OTP"}},
			`user:login:failure failure by anonymous: with password+otp user=alice {"attempted_username":"alice","auth_method":"password","reason":"invalid_mfa","status":401}`,
		},
		{
			"a wrong password",
			talk{path: path, body: loginBody, status: 401, answer: `{"error":"no: hunter2secret"}`},
			`user:login:failure failure by anonymous: with password user=alice {"attempted_username":"alice","auth_method":"password","error":"no: [hidden]","reason":"invalid_password","status":401}`,
		},
		{
			"nobody of that name",
			talk{path: path, body: loginBody, status: 400, answer: `{"error":"there is no user with that name"}`},
			`user:login:failure failure by anonymous: with password user=alice {"attempted_username":"alice","auth_method":"password","error":"there is no user with that name","reason":"no_such_user","status":400}`,
		},
		{
			"no answer",
			talk{path: path, body: loginBody},
			`user:login:success unknown by anonymous: with password user=alice {"auth_method":"password"}`,
		},
		{
			"a new account",
			talk{path: path, body: withEmail, status: 201, answer: `{"ok":true,"token":"t"}`},
			`user:account:create success by user:alice with password user=alice {"method":"password"}`,
		},
		{
			"an account that a sign-in made",
			talk{path: path, body: loginBody, status: 201, answer: `{"ok":"user 'alice' created","token":"t"}`},
			`user:account:create success by user:alice with password user=alice {"method":"password"}`,
		},
		{
			"a sign-in where an account was asked for",
			talk{path: path, body: withEmail, status: 201, answer: `{"ok":"you are authenticated as 'alice'","token":"t"}`},
			`user:login:success success by user:alice with password user=alice {"auth_method":"password"}`,
		},
		{
			"a name that is taken",
			talk{path: path, body: withEmail, status: 409, answer: `{"error":"username is already registered"}`},
			`user:account:create failure by anonymous: with password user=alice {"error":"username is already registered","method":"password","status":409}`,
		},
		{
			"somebody else inside",
			talk{path: path, body: strings.ReplaceAll(loginBody, `"name":"alice"`, `"name":"mallory"`), status: 201, answer: `{"token":"t"}`},
			`user:login:success success by user:alice with password user=alice {"ambiguous":true,"auth_method":"password"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.talk.method = "PUT"
			check(t, tt.talk, tt.want)
			r := run(t, npm.New(npm.Options{}), tt.talk)
			ok := r.Events[0].Outcome == event.Success && r.Events[0].Metadata["ambiguous"] == nil
			if learned := len(r.Learned) == 1 && r.Learned[0].User == "alice" && r.Learned[0].Secret == "t"; learned != ok {
				t.Errorf("learned %+v", r.Learned)
			}
		})
	}
}

// Whose token it is, whoever says so.
func TestLearned(t *testing.T) {
	const jwt = "e30.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSIsInJlcG9zaXRvcnkiOiJhY21lL3gifQ.c2ln"
	tests := []struct {
		name string
		talk talk
		want []registry.Learned
	}{
		{
			"whoami",
			talk{method: "GET", path: "/-/whoami", header: bearer, status: 200, answer: `{"username":"alice"}`},
			[]registry.Learned{{Secret: "npm_demotokendemotoken", Identity: registry.Identity{User: "alice"}}},
		},
		{"whoami without a name", talk{method: "GET", path: "/-/whoami", header: bearer, status: 200, answer: `{}`}, nil},
		{"whoami that was refused", talk{method: "GET", path: "/-/whoami", header: bearer, status: 401, answer: `{"username":"alice"}`}, nil},
		{"whoami with a password", talk{method: "GET", path: "/-/whoami", header: map[string]string{"Authorization": "Basic YTpi"}, status: 200, answer: `{"username":"a"}`}, nil},
		{
			"the profile",
			talk{method: "GET", path: "/-/npm/v1/user", header: bearer, status: 200, answer: `{"name":"alice","tfa":false}`},
			[]registry.Learned{{Secret: "npm_demotokendemotoken", Identity: registry.Identity{User: "alice"}}},
		},
		{
			"a new token",
			talk{method: "POST", path: "/-/npm/v1/tokens", header: bearer, body: `{"name":"ci","password":"hunter2secret"}`, status: 201, answer: `{"token":"npm_new","key":"x"}`},
			[]registry.Learned{{Secret: "npm_new", Caller: true, Identity: registry.Identity{Credential: event.Credential{Kind: "token", Name: "ci"}}}},
		},
		{"no new token", talk{method: "POST", path: "/-/npm/v1/tokens", header: bearer, body: `{}`, status: 200, answer: `{"error":"x","token":"npm_new"}`}, nil},
		{
			"a CI job",
			talk{method: "POST", path: "/-/npm/v1/oidc/token/exchange/package/demo-pkg", header: map[string]string{"Authorization": "Bearer " + jwt}, status: 201, answer: `{"token":"npm_new"}`},
			[]registry.Learned{{Secret: "npm_new", Identity: registry.Identity{Credential: event.Credential{Kind: "oidc"}, OIDC: event.OIDC{Issuer: "https://a.example", Repository: "acme/x"}}}},
		},
		{"a CI job that was refused", talk{method: "POST", path: "/-/npm/v1/oidc/token/exchange/package/demo-pkg", header: map[string]string{"Authorization": "Bearer " + jwt}, status: 403, answer: `{"token":"npm_new"}`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, run(t, npm.New(npm.Options{}), tt.talk).Learned); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 8)
	const raw = "npm_another/token+with=signs"
	tests := []struct {
		name string
		talk talk
		want string
	}{
		{
			"a token that may do much",
			talk{
				method: "POST", path: "/-/npm/v1/tokens", status: 201, answer: `{"token":"npm_new","key":"` + id + `","expires":"2026-12-01T00:00:00Z"}`,
				body: `{"name":"ci","password":"hunter2secret","packages":["a","@b/c"],"scopes":["@b"],"orgs":["o"],"orgs_permission":"read-only","cidr_whitelist":["192.0.2.0/24"],"bypass_2fa":false,"expires":30}`,
			},
			`user:token:create success token=ci {"bypass_mfa":false,"cidr":["192.0.2.0/24"],"expires":"2026-12-01T00:00:00Z","expires_days":30,"kind":"granular","name":"ci",` +
				`"orgs":["o"],"packages":["a","@b/c"],"permissions":["orgs:read-only"],"scopes":["@b"],"token_id":"` + id + `"}`,
		},
		{
			"a token that only reads",
			talk{method: "POST", path: "/-/npm/v1/tokens", status: 200, body: `{"password":"hunter2secret","readonly":true}`, answer: `{"token":"t","key":"npm_raw"}`},
			`user:token:create success {"permissions":["read-only"]}`,
		},
		{
			"revoked by its ID",
			talk{method: "DELETE", path: "/-/npm/v1/tokens/token/" + id, status: 204},
			`user:token:revoke success token= {"reason":"user","token_id":"` + id + `"}`,
		},
		{
			"revoked by itself",
			talk{method: "DELETE", path: "/-/npm/v1/tokens/token/npm_demotokendemotoken", status: 204},
			`user:token:revoke success {"reason":"user"}`,
		},
		{
			"listed in vain",
			talk{method: "GET", path: "/-/npm/v1/tokens", status: 403},
			`user:token:list denied {"status":403}`,
		},
		{
			"signed out",
			talk{method: "DELETE", path: "/-/user/token/npm_demotokendemotoken", status: 200, answer: `{"ok":"Logged out"}`},
			`user:logout success {"accepted":true,"kind":"user"}`,
		},
		{
			"signed out another token",
			talk{method: "DELETE", path: "/-/user/token/npm_another%2Ftoken%2Bwith%3Dsigns", status: 200},
			`user:token:revoke success {"accepted":true,"reason":"user"}`,
		},
		{
			"a CI job that was refused",
			talk{method: "POST", path: "/-/npm/v1/oidc/token/exchange/package/@acme%2fthing", status: 404, answer: `{"message":"no match"}`},
			`project:oidc_token:reject failure by anonymous: with oidc project=@acme/thing {"claimed":true,"error":"no match","status":404}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.talk.header = bearer
			check(t, tt.talk, tt.want)
		})
	}
	r := run(t, npm.New(npm.Options{}), talk{method: "DELETE", path: "/-/npm/v1/tokens/token/npm_another%2Ftoken%2Bwith%3Dsigns", header: bearer, status: 204})
	if diff := cmp.Diff([]string{raw}, r.Forgotten); diff != "" {
		t.Error(diff)
	}
	r = run(t, npm.New(npm.Options{}), talk{method: "DELETE", path: "/-/user/token/npm_demotokendemotoken", header: bearer, status: 200})
	if len(r.Forgotten) > 0 {
		t.Error("a token that may go on is forgotten")
	}
}

func TestProfile(t *testing.T) {
	const before = `{"name":"alice","email":"alice@example.com","fullname":"A","homepage":"","tfa":false}`
	tests := []struct {
		name, before, body string
		status             int
		answer             string
		want               []string
	}{
		{"one thing", before, `{"email":"alice@example.com","fullname":"B","homepage":"","github":null}`, 200, `{"name":"alice"}`, []string{
			`user:profile:change success user=alice {"derived":true,"fields":["fullname"]}`,
		}},
		{"the address", before, `{"email":"mallory@example.com","fullname":"A"}`, 200, `{"name":"alice"}`, []string{
			`user:email:primary_change success user=alice {"derived":true}`,
		}},
		{"the address and more", before, `{"email":"mallory@example.com","fullname":"B"}`, 200, `{"name":"alice"}`, []string{
			`user:email:primary_change success user=alice {"derived":true}`,
			`user:profile:change success user=alice {"derived":true,"fields":["fullname"]}`,
		}},
		{"the password", before, `{"email":"alice@example.com","fullname":"A","password":{"old":"hunter2secret","new":"hunter2secret"}}`, 200, `{"name":"alice"}`, []string{
			`user:password:change success user=alice`,
		}},
		{"the password, in vain", "", `{"password":{"old":"hunter2secret","new":"x"}}`, 401, `{"error":"hunter2secret is wrong"}`, []string{
			`user:password:change denied {"error":"[hidden] is wrong","status":401}`,
		}},
		{"something, without knowing what was", "", `{"email":"alice@example.com","fullname":"B"}`, 200, `{}`, []string{
			`user:profile:change success {"fields":["email","fullname"],"undetermined":true}`,
		}},
		{"nothing", before, `{"email":"alice@example.com"}`, 200, `{"name":"alice"}`, []string{
			`user:profile:change success user=alice {"derived":true}`,
		}},
		{"the first step of a second factor", before, `{"tfa":{"mode":"auth-only","password":"hunter2secret"}}`, 200, `{"tfa":"otpauth://totp/x?secret=hunter2secret"}`, []string{
			`user:mfa:enroll success user=alice {"method":"totp","mode":"auth-only"}`,
		}},
		{"its second step", before, `{"tfa":["739154"]}`, 200, `{"tfa":["hunter2secret"]}`, []string{
			`user:mfa:enable success user=alice {"method":"totp"}`,
		}},
		{"its second step, in vain", before, `{"tfa":["739154"]}`, 403, `{"error":"739154 is wrong"}`, []string{
			`user:mfa:enable denied user=alice {"error":"[hidden] is wrong","method":"totp","status":403}`,
		}},
		{"another mode", before, `{"tfa":{"mode":"auth-and-writes","password":"hunter2secret"}}`, 200, `{"tfa":null}`, []string{
			`user:mfa:level_change success user=alice {"new":"auth-and-writes"}`,
		}},
		{"no second factor any more", before, `{"tfa":{"mode":"disable","password":"hunter2secret"}}`, 200, `{"tfa":false}`, []string{
			`user:mfa:disable success user=alice`,
		}},
		{"two at once: the last one counts", before, `{"tfa":{"mode":"disable"},"tfa":["739154"]}`, 200, `{}`, []string{
			`user:mfa:enable success user=alice {"method":"totp"}`,
		}},
		{"what cannot be read", before, `tfa=1`, 200, `{}`, []string{
			`user:profile:change success user=alice {"undetermined":true}`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, talk{method: "POST", path: "/-/npm/v1/user", header: bearer, before: tt.before, body: tt.body, status: tt.status, answer: tt.answer}, tt.want...)
		})
	}
}

func TestAccessAndTeams(t *testing.T) {
	tests := []struct {
		name string
		talk talk
		want string
	}{
		{
			"private",
			talk{method: "POST", path: "/-/package/@acme%2fthing/access", body: `{"access":"private"}`},
			`project:visibility_change success project=@acme/thing {"new":"private"}`,
		},
		{
			"a second factor for publishing",
			talk{method: "POST", path: "/-/package/demo-pkg/access", body: `{"publish_requires_tfa":true,"automation_token_overrides_tfa":false}`},
			`project:mfa_requirement_change success project=demo-pkg {"automation_token_overrides_mfa":false,"new":true}`,
		},
		{
			"both",
			talk{method: "POST", path: "/-/package/demo-pkg/access", body: `{"access":"public","publish_requires_tfa":false}`},
			`project:access:change success project=demo-pkg {"new":"public","publish_requires_mfa":false}`,
		},
		{
			"what cannot be read",
			talk{method: "POST", path: "/-/package/demo-pkg/access", body: `{}`},
			`project:access:change success project=demo-pkg {"undetermined":true}`,
		},
		{
			"a team may write",
			talk{method: "PUT", path: "/-/team/@acme/devs/package", body: `{"package":"@acme/thing","permissions":"read-write"}`},
			`project:team_role:add success project=@acme/thing org=acme team=acme:devs {"role":"read-write","team":"acme:devs"}`,
		},
		{
			"a team may no longer",
			talk{method: "DELETE", path: "/-/team/acme/devs/package", body: `{"package":"@acme/thing"}`},
			`project:team_role:remove success project=@acme/thing org=acme team=acme:devs {"team":"acme:devs"}`,
		},
		{
			"a team goes",
			talk{method: "DELETE", path: "/-/team/acme/devs"},
			`org:team:delete success org=acme team=acme:devs {"team":"acme:devs"}`,
		},
		{
			"a new member",
			talk{method: "PUT", path: "/-/org/acme/user", before: `{"alice":"owner"}`, body: `{"user":"bob","role":"admin"}`},
			`org:member:add success org=acme user=bob {"derived":true,"role":"admin","target_user":"bob"}`,
		},
		{
			"another role",
			talk{method: "PUT", path: "/-/org/acme/user", before: `{"alice":"owner","bob":"developer"}`, body: `{"user":"@bob","role":"admin"}`},
			`org:member:role_change success org=acme user=bob {"derived":true,"new_role":"admin","old_role":"developer","target_user":"bob"}`,
		},
		{
			"a tag moves",
			talk{method: "PUT", path: "/-/package/demo-pkg/dist-tags/latest", before: `{"latest":"1.0.0"}`, body: `"1.1.0"`},
			`project:dist_tag:add success project=demo-pkg version=demo-pkg@1.1.0 {"derived":true,"previous_version":"1.0.0","tag":"latest","version":"1.1.0"}`,
		},
		{
			"a tag to what cannot be read",
			talk{method: "PUT", path: "/-/package/demo-pkg/dist-tags/latest", body: `{}`},
			`project:dist_tag:add success project=demo-pkg {"tag":"latest","undetermined":true}`,
		},
		{
			"a publisher goes",
			talk{method: "DELETE", path: "/-/package/demo-pkg/trust/7d1f"},
			`project:oidc_publisher:remove success project=demo-pkg publisher= {"id":"7d1f"}`,
		},
		{
			"publishers are listed",
			talk{method: "GET", path: "/-/package/demo-pkg/trust", answer: `[{"id":"7d1f"},{"id":"7d20"}]`},
			`project:oidc_publisher:list success project=demo-pkg {"count":2}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.talk.header, tt.talk.status = bearer, 201
			check(t, tt.talk, tt.want)
		})
	}
	check(t, talk{
		method: "PUT", path: "/-/package/demo-pkg/dist-tags", header: bearer, before: `{"latest":"1.0.0","beta":"1.1.0"}`, body: `{"latest":"1.0.0","next":"2.0.0"}`, status: 200,
	},
		`project:dist_tag:add success project=demo-pkg version=demo-pkg@2.0.0 {"derived":true,"tag":"next","version":"2.0.0"}`,
		`project:dist_tag:remove success project=demo-pkg version=demo-pkg@1.1.0 {"derived":true,"tag":"beta","version":"1.1.0"}`)
	check(t, talk{
		method: "POST", path: "/-/package/demo-pkg/trust", header: bearer, status: 201, answer: `[{"id":"1"},{"id":"2"}]`,
		body: `[{"type":"github","claims":{"repository":"acme/x","environment":"prod","workflow_ref":{"file":"r.yml"}},"permissions":["createPackage"]},{"type":"gitlab","claims":{"project":"acme/y"}}]`,
	},
		`project:oidc_publisher:add success project=demo-pkg publisher=acme/x {"allowed_actions":["createPackage"],"environment":"prod","id":"1","publisher":"github","specifier":"acme/x","workflow_ref":"r.yml"}`,
		`project:oidc_publisher:add success project=demo-pkg publisher=acme/y {"id":"2","publisher":"gitlab","specifier":"acme/y"}`)
}
