"""Mutants that remove guards of pages, sign-in and sessions, and of addresses that a person entered."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_GUARDS = "tests/unit/web/test_guards.py"
_SESSIONS = "tests/unit/web/test_sessions.py"
_SIGN_IN = "tests/unit/web/test_signin.py"
_UPLOADS = "tests/unit/web/test_uploads.py"
_APPLICATION = "tests/unit/web/test_application.py"
_SHOWN = "tests/unit/web/test_shown.py"
_ENTERED = "tests/unit/net/test_entered.py"
_ID_TOKEN = f"{_SIGN_IN}::test_an_id_token_that_is_not_right_begins_nothing"
_ANSWER = f"{_SIGN_IN}::test_an_answer_that_is_not_right_begins_nothing"
_NOTICE = f"{_SIGN_IN}::test_a_notice_that_is_not_right_ends_nothing"

FORMS = (
    Mutant(
        "a request that changes something comes from this site",
        "web/guards.py",
        'if headers.getlist("sec-fetch-site") != ["same-origin"]:',
        "if False:",
        (f"{_GUARDS}::test_another_site_is_refused_whatever_else_it_has",),
    ),
    Mutant(
        "a request that changes something comes from this origin",
        "web/guards.py",
        'if headers.getlist("origin") not in ([site_of(connection).origin], ["null"]):',
        "if False:",
        (f"{_GUARDS}::test_another_origin_is_refused_whatever_else_it_has",),
    ),
    Mutant(
        "a form has a token of its session",
        "web/guards.py",
        "if not site_of(connection).sessions.is_form_token(value, token):",
        "if False:",
        (f"{_GUARDS}::test_a_form_without_the_sessions_token_is_refused",),
    ),
    Mutant(
        "a token without its session is refused",
        "web/guards.py",
        "    if session_of(connection) is None or value is None:\n        raise Forged(Refusal.TOKEN)\n",
        "    if value is None:\n        raise Forged(Refusal.TOKEN)\n",
        (f"{_GUARDS}::test_a_token_without_its_session_is_refused",),
    ),
    Mutant(
        "an answer leaves only if its token was verified",
        "web/guards.py",
        'message["status"] < 400 and not verified:',
        "False:",
        (f"{_GUARDS}::test_a_handler_that_does_not_look_at_the_token_gets_no_answer_out",),
    ),
    Mutant(
        "a form token is bound to its session",
        "web/sessions.py",
        'hmac.compare_digest(_xor(pad, masked), self.mark("form", value))',
        'hmac.compare_digest(_xor(pad, masked)[:0], self.mark("form", value)[:0])',
        (f"{_SESSIONS}::test_form_tokens_are_bound_to_a_session_and_an_organisation",),
    ),
    Mutant(
        "a form token never looks the same twice",
        "web/sessions.py",
        "pad = secrets.token_bytes(hashlib.sha256().digest_size)",
        "pad = bytes(hashlib.sha256().digest_size)",
        (f"{_SESSIONS}::test_a_form_token_never_looks_the_same",),
    ),
    Mutant(
        "no sink opens before the token is verified",
        "web/uploads.py",
        "        if not self._verified:\n            return  # Skip",
        "        if False:\n            return  # Skip",
        (f"{_UPLOADS}::test_no_sink_opens_before_the_token_is_verified",),
    ),
    Mutant(
        "the token stands before the files",
        "web/uploads.py",
        "field.name == TOKEN_FIELD and not self._files and not self._verified",
        "field.name == TOKEN_FIELD and not self._verified",
        (f"{_UPLOADS}::test_no_sink_opens_before_the_token_is_verified",),
    ),
    Mutant(
        "a file that breaks off is discarded",
        "web/uploads.py",
        "            await sink.discard()\n",
        "            await sink.close()\n",
        (f"{_UPLOADS}::test_what_breaks_off_within_a_file_is_discarded",),
    ),
    Mutant(
        "the files of a form are bounded",
        "web/uploads.py",
        "if self._file_bytes > self._limits.file_bytes:",
        "if False:",
        (f"{_UPLOADS}::test_a_form_has_limits",),
    ),
)

SESSIONS = (
    Mutant(
        "a session is found by its mark alone",
        "web/sessions.py",
        "        return hmac.digest(self._key, text, hashlib.sha256)",
        "        return values[-1].encode()",
        (f"{_SESSIONS}::test_the_cookies_value_is_not_in_the_store",),
    ),
    Mutant(
        "the key of the marks is the organisation's",
        "web/sessions.py",
        "return hmac.digest(self._key, text, hashlib.sha256)",
        "return hashlib.sha256(text).digest()",
        (f"{_SESSIONS}::test_a_cookie_means_nothing_to_another_organisation",),
    ),
    Mutant(
        "a session ends when it is not used",
        "web/sessions.py",
        "return min(session.used + self.limits.idle, session.began + self.limits.whole)",
        "return session.began + self.limits.whole",
        (f"{_SESSIONS}::test_it_is_over_after_half_an_hour_without_use",),
    ),
    Mutant(
        "a session ends however much it is used",
        "web/sessions.py",
        "return min(session.used + self.limits.idle, session.began + self.limits.whole)",
        "return session.used + self.limits.idle",
        (f"{_SESSIONS}::test_it_is_over_after_ten_hours_however_much_it_is_used",),
    ),
    Mutant(
        "cookies are out of reach of scripts and bound to this site",
        "web/cookies.py",
        '_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"',
        '_ATTRIBUTES = "Path=/; Secure; SameSite=Lax"',
        (f"{_SIGN_IN}::test_cookies_are_bound_to_the_host_and_out_of_reach_of_scripts",),
    ),
    Mutant(
        "cookies go to no other site's form",
        "web/cookies.py",
        '_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"',
        '_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=None"',
        (f"{_SIGN_IN}::test_cookies_are_bound_to_the_host_and_out_of_reach_of_scripts",),
    ),
    Mutant(
        "the session's cookie is bound to its host",
        "web/cookies.py",
        'SESSION = "__Host-session"',
        'SESSION = "session"',
        (f"{_SIGN_IN}::test_cookies_are_bound_to_the_host_and_out_of_reach_of_scripts",),
    ),
    Mutant(
        "a cookie that is there twice is none",
        "web/cookies.py",
        "return values[0] if len(values) == 1 and",
        "return values[0] if values and",
        (f"{_APPLICATION}::test_a_cookie_that_is_there_twice_is_none",),
    ),
    Mutant(
        "an unknown host gets nothing",
        "web/sites.py",
        "        if site is None:\n",
        '        if site is None and scope["path"] != "/static/style.css":\n',
        (f"{_APPLICATION}::test_an_unknown_host_gets_the_same_bare_answer_everywhere",),
    ),
    Mutant(
        "a page says no policy of its own",
        "web/policy.py",
        "if headers.get(name) != _MAY_DIFFER.get(name, value):",
        "if name not in headers:",
        (f"{_APPLICATION}::test_every_answer_has_the_policy",),
    ),
    Mutant(
        "hidden characters are shown wherever a value is",
        "web/hostile.py",
        "return text.__class__(shown)",
        "return text",
        (f"{_SHOWN}::test_what_cannot_be_seen_is_shown_as_a_code",),
    ),
    Mutant(
        "a text that takes long is shown as it is",
        "web/messagetext.py",
        "if len(text) > _MAX_LENGTH or _is_laborious(text):",
        "if False:",
        (f"{_SHOWN}::test_a_text_that_is_built_to_take_long_does_not",),
    ),
)

SIGN_IN = (
    Mutant(
        "nobody goes on with a page that was made for another person",
        "web/static/session.js",
        "if (session.whose !== whose) return null;",
        "",
        ("tests/browser/test_pages.py::test_another_person_who_signs_in_does_not_go_on_with_the_page",),
    ),
    Mutant(
        "an answer has the state that was sent",
        "web/signin/flow.py",
        'if not hmac.compare_digest(one(query, "state", Fault.STATE).encode(), state.encode()):',
        'if not one(query, "state", Fault.STATE):',
        (_ANSWER,),
    ),
    Mutant(
        "an answer was asked for in this browser",
        "web/signin/pending.py",
        "            raise SignInFailed(Fault.UNSOLICITED)\n        pending",
        '            return cls("", 1795686727, "/")\n        pending',
        (f"{_SIGN_IN}::test_an_answer_that_was_not_asked_for_begins_nothing",),
    ),
    Mutant(
        "an answer comes within ten minutes",
        "web/signin/pending.py",
        "if not pending.began_at - timedelta(seconds=1) <= now <= pending.began_at + LASTS:",
        "if False:",
        (f"{_SIGN_IN}::test_an_answer_that_comes_too_late_begins_nothing",),
    ),
    Mutant(
        "an answer names its issuer",
        "web/signin/flow.py",
        "if list(named) != [issuer] and (named or metadata.names_issuer):",
        "if False:",
        (_ANSWER,),
    ),
    Mutant(
        "one sign-in begins one session",
        "web/signin/flow.py",
        'self._sessions.mark("sign-in", state)',
        'self._sessions.mark("sign-in", str(self._clock()), str(id(person)))',
        (f"{_SIGN_IN}::test_an_answer_that_comes_again_begins_nothing_even_if_the_code_is_redeemed_again",),
    ),
    Mutant(
        "nobody is sent elsewhere after signing in",
        "web/signin/pending.py",
        'return path if len(path) <= _MAX_BACK and _BACK.fullmatch(path) else "/"',
        "return path",
        (f"{_SIGN_IN}::test_nobody_is_sent_elsewhere_after_signing_in",),
    ),
    Mutant(
        "a notice that is sent again ends nothing new",
        "web/signin/flow.py",
        "begun_by = told.issued_at + timedelta(seconds=1)",
        "begun_by = self._clock()",
        (f"{_SIGN_IN}::test_a_notice_that_is_sent_again_ends_nothing_that_began_after_it",),
    ),
    Mutant(
        "an ID token is for this sign-in",
        "web/signin/idtoken.py",
        'if not hmac.compare_digest(claims.text("nonce").encode(), asked.nonce.encode()):',
        'if not claims.text("nonce"):',
        (_ID_TOKEN,),
    ),
    Mutant(
        "an ID token is of the organisation's issuer",
        "web/signin/idtoken.py",
        "if token.issuer != settings.issuer:",
        "if False:",
        (_ID_TOKEN,),
    ),
    Mutant(
        "an ID token is for us",
        "web/signin/idtoken.py",
        "if client_id not in audience or party != client_id:",
        "if party != client_id:",
        (_ID_TOKEN,),
    ),
    Mutant(
        "an ID token was issued to us",
        "web/signin/idtoken.py",
        "if client_id not in audience or party != client_id:",
        "if client_id not in audience:",
        (_ID_TOKEN,),
    ),
    Mutant(
        "an ID token has an accepted level of assurance",
        "web/signin/idtoken.py",
        "if level not in settings.levels:",
        "if False:",
        (_ID_TOKEN,),
    ),
    Mutant(
        "an ID token has an accepted algorithm",
        "web/signin/idtoken.py",
        "if token.algorithm not in settings.algorithms:",
        "if False:",
        (f"{_SIGN_IN}::test_an_algorithm_that_the_organisation_does_not_accept_begins_nothing",),
    ),
    Mutant(
        "an ID token is signed by its issuer",
        "wire/jose/jwt.py",
        "if not any(self._signed_by(key) for key in keys if self.algorithm in key.algorithms):",
        "if not any(True for key in keys if self.algorithm in key.algorithms):",
        (f"{_SIGN_IN}::test_a_notice_that_another_key_has_signed_ends_nothing",),
    ),
    Mutant(
        "an ID token is valid at this time",
        "web/signin/idtoken.py",
        "        claims.check_times(now, lasts, issued=True)\n",
        "        pass\n",
        (_ID_TOKEN,),
    ),
    Mutant(
        "an ID token is younger than its sign-in",
        "web/signin/idtoken.py",
        'if claims.instant("iat") < asked.began - _SKEW:',
        "if False:",
        (f"{_SIGN_IN}::test_an_id_token_of_before_the_sign_in_began_begins_nothing",),
    ),
    Mutant(
        "a person showed who they are not long ago",
        "web/signin/idtoken.py",
        "if now - at > settings.longest_since + _SKEW:",
        "if False:",
        (f"{_SIGN_IN}::test_how_long_ago_a_person_showed_who_they_are_is_asked_for_and_checked",),
    ),
    Mutant(
        "a token of another type is no ID token",
        "web/signin/idtoken.py",
        '_PLAIN_TYPES = ("jwt", "")',
        '_PLAIN_TYPES = ("jwt", "", "logout+jwt", "at+jwt")',
        (f"{_SIGN_IN}::test_a_token_of_another_type_begins_nothing",),
    ),
    Mutant(
        "a notice of logout is one",
        "web/signin/idtoken.py",
        'if not claims.has_object("events", LOGOUT_EVENT) or "nonce" in claims:',
        "if False:",
        (_NOTICE,),
    ),
    Mutant(
        "metadata are the issuer's own",
        "web/signin/provider.py",
        'if document["issuer"] != issuer:',
        "if False:",
        (f"{_SIGN_IN}::test_metadata_that_are_not_right_begin_nothing",),
    ),
    Mutant(
        "a new sign-in ends the former session",
        "web/signinroutes.py",
        "            await site.sessions.end(former)\n",
        "            pass\n",
        (f"{_SIGN_IN}::test_signing_in_again_ends_the_session_of_before",),
    ),
)

ENTERED = (
    Mutant(
        "an entered address never leads to this machine",
        "net/addresses.py",
        "        if any(map(_is_our_own, leads_to)):\n            return False\n",
        "",
        (f"{_ENTERED}::test_the_machine_itself_and_metadata_services_are_never_permitted_listed_or_not",),
    ),
    Mutant(
        "an entered address never leads to a cloud's metadata",
        "net/addresses.py",
        "return refused or any(_within(address, network) for network in _METADATA)",
        "return refused",
        (f"{_ENTERED}::test_the_machine_itself_and_metadata_services_are_never_permitted_listed_or_not",),
    ),
    Mutant(
        "an entered address is public or listed",
        "net/addresses.py",
        "return is_public(address) or any(_within(leads_to[-1], network) for network in self._listed)",
        "return True",
        (f"{_ENTERED}::test_another_private_address_is_not",),
    ),
    Mutant(
        "an entered address is called over TLS",
        "net/entered.py",
        'if not self._plain and not url.lower().startswith("https://"):',
        "if False:",
        (f"{_ENTERED}::test_an_address_without_tls_is_not_called",),
    ),
    Mutant(
        "an entered address is checked for other protocols too",
        "net/entered.py",
        "[str(address[0]) for *_, address in found if self._permits(str(address[0]))]",
        "[str(address[0]) for *_, address in found]",
        (f"{_ENTERED}::test_a_connection_for_another_protocol_has_the_same_guard",),
    ),
)
