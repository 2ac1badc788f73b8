"""A person with a browser: signs in, keeps the cookie and its token, and follows both when the server renews them."""


class Person:
    def __init__(self, server, email, password):
        self.server, self.email, self.password = server, email, password
        self.cookie = self.csrf = None
        server.secrets.append(password)

    def ask(self, method, path, body=None, headers=None, csrf=True):
        """A request of our own page; csrf=False leaves the token out."""
        head = {"Authorization": None, "Cookie": self.cookie}
        if csrf and method != "GET":
            head["X-CSRF-Token"] = self.csrf
        answer = self.server.call(method, path, body, headers={**head, **(headers or {})})
        self.follow(answer)
        return answer

    def follow(self, answer):
        line = answer.headers.get("set-cookie")
        if line:
            self.cookie = line.split(";")[0]
            self.server.secrets.append(self.cookie.split("=", 1)[1])
        self.csrf = answer.headers.get("x-csrf-token", self.csrf)
        if answer.status == 200 and "json" in answer.headers.get("content-type", ""):
            body = answer.json
            if isinstance(body, dict) and "csrfToken" in body:
                self.csrf = body["csrfToken"]

    def sign_in(self, password=None, headers=None):
        self.cookie = None
        return self.ask("POST", "/api/auth/sign-in/email", {"email": self.email, "password": password or self.password}, headers)

    def session(self):
        return self.ask("GET", "/api/auth/get-session")
