import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** An area of a plain id, and a user's settings that override the application's. */
public final class AreasAndSettings {
    private static final String URL = variable("RETAIN_URL", "http://127.0.0.1:8080");
    private static final String STORAGE = URL + "/genesys/1/storage";
    private static final String SETTINGS =
        URL + "/mobileservices/Storage/v1/runtime/application/example-java";
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws IOException, InterruptedException {
        useAreas();
        useSettings();
    }

    private static void useAreas() throws IOException, InterruptedException {
        HttpRequest create = HttpRequest.newBuilder(URI.create(STORAGE + "/3600"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(form(Map.of("Key1", "Value1"))))
            .build();
        Matcher id = Pattern.compile("\"id\":\"([^\"]+)\"").matcher(send(create).body());
        if (!id.find()) {
            throw new IOException("no id in the answer");
        }
        URI area = URI.create(STORAGE + "/" + id.group(1));
        System.out.println("area: " + send(HttpRequest.newBuilder(area).build()).body());
        send(HttpRequest.newBuilder(area).DELETE().build());
        int status = HTTP.send(HttpRequest.newBuilder(area).build(), BodyHandlers.discarding()).statusCode();
        System.out.println("after deletion: " + status);
    }

    private static void useSettings() throws IOException, InterruptedException {
        for (String level : new String[] {"global", "currentuser"}) {
            HTTP.send(settings(level).DELETE().build(), BodyHandlers.discarding());
        }
        send(json(settings("global"), "POST", "{\"ui\":{\"theme\":\"light\",\"size\":10}}"));
        send(json(settings("currentuser/ui"), "PATCH", "{\"theme\":\"dark\"}"));
        System.out.println("settings: " + send(settings("currentuser/ui").build()).body());
    }

    private static HttpRequest.Builder settings(String path) {
        String login = variable("RETAIN_USER", "ann") + ":" + variable("RETAIN_PASSWORD", "secret");
        String basic = Base64.getEncoder().encodeToString(login.getBytes(StandardCharsets.UTF_8));
        return HttpRequest.newBuilder(URI.create(SETTINGS + "/" + path)).header("Authorization", "Basic " + basic);
    }

    private static HttpRequest json(HttpRequest.Builder request, String method, String body) {
        return request.header("Content-Type", "application/json")
            .method(method, BodyPublishers.ofString(body))
            .build();
    }

    private static HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
        HttpResponse<String> answer = HTTP.send(request, BodyHandlers.ofString());
        if (answer.statusCode() >= 300) {
            throw new IOException(request.method() + " " + request.uri() + ": " + answer.statusCode() + " " + answer.body());
        }
        return answer;
    }

    private static String form(Map<String, String> fields) {
        return fields.entrySet().stream()
            .map(field -> encoded(field.getKey()) + "=" + encoded(field.getValue()))
            .collect(Collectors.joining("&"));
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    private static String variable(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }
}
