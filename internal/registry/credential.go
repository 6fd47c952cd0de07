package registry

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// otpHeaders are where clients put one-time passwords.
var otpHeaders = []string{"Npm-Otp", "Otp"}

// PresentedIn returns the credential in h. Its kind is "none" when there is
// none.
//
// A password is never a Secret: not even a keyed hash of it is to be kept. The
// password of the user "__token__" is a token.
func PresentedIn(h http.Header) Presented {
	p := presented(strings.TrimSpace(h.Get("Authorization")))
	for _, name := range otpHeaders {
		p.OTP = p.OTP || h.Get(name) != ""
	}
	return p
}

func presented(authorization string) Presented {
	scheme, rest, found := strings.Cut(authorization, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case authorization == "":
		return Presented{Kind: "none"}
	case strings.EqualFold(scheme, "Basic"):
		return basic(rest)
	case !found && !strings.EqualFold(scheme, "Bearer"):
		return Presented{Kind: "token", Secret: scheme} // cargo, gem: no scheme
	case rest == "":
		return Presented{Kind: "none"}
	}
	return Presented{Kind: "token", Secret: rest}
}

// basic reads the credential of Basic authentication. One that cannot be
// decoded is still a credential: the registry may be more lenient than we are.
func basic(encoded string) Presented {
	if encoded == "" {
		return Presented{Kind: "none"}
	}
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return Presented{Kind: "password"}
	}
	user, password, _ := strings.Cut(string(decoded), ":")
	if user == "__token__" {
		return Presented{Kind: "token", Secret: password}
	}
	return Presented{Kind: "password", User: Clean(user, MaxNameBytes), Confirm: true}
}
