import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Keeps the state of messages and calls in a database, from the topics of Trunkline.
 *
 * <pre>
 * mvn -q compile dependency:copy-dependencies -DoutputDirectory=target/lib
 * java -cp 'target/classes:target/lib/*' Consume localhost:9092 jdbc:sqlite:telecom.db
 * </pre>
 *
 * The statements are those of ../sql. For PostgreSQL, take its driver and end the URL with stringtype=unspecified, so that
 * text is taken for JSON.
 */
public final class Consume {
    private static final List<String> TOPICS = List.of("telecom.message-status.v1", "telecom.call-record.v1");
    private static final List<String> KINDS = List.of("message_status", "call_record");
    private static final Path SQL = Path.of(System.getProperty("sql", "../sql"));
    private static final int SQLITE_CONSTRAINT = 19;

    private final ObjectMapper json = new ObjectMapper();
    private final Connection database;
    private final PreparedStatement take;
    private final PreparedStatement setAside;
    private final Map<String, PreparedStatement> apply = new HashMap<>();

    private Consume(Connection database) throws IOException, SQLException {
        this.database = database;
        for (String table : statement("tables").replaceAll("--[^\n]*", "").split(";")) {
            if (!table.isBlank()) {
                database.createStatement().execute(table);
            }
        }
        database.setAutoCommit(false);
        take = database.prepareStatement(statement("event"));
        setAside = database.prepareStatement(statement("unreadable"));
        for (String kind : KINDS) {
            apply.put(kind, database.prepareStatement(statement(kind)));
        }
    }

    private static String statement(String name) throws IOException {
        return Files.readString(SQL.resolve(name + ".sql"));
    }

    /** One transaction for the batch, and the offsets only after it. */
    private void process(KafkaConsumer<byte[], byte[]> consumer, ConsumerRecords<byte[], byte[]> records)
            throws SQLException {
        for (ConsumerRecord<byte[], byte[]> record : records) {
            takeOrSetAside(record);
        }
        database.commit();
        consumer.commitSync();
    }

    /** A record that can not be read is noted and passed by: it would be as unreadable the next time. */
    private void takeOrSetAside(ConsumerRecord<byte[], byte[]> record) throws SQLException {
        Savepoint before = database.setSavepoint();
        try {
            take(record);
        } catch (IOException unreadable) {
            database.rollback(before);
            setAside(record, unreadable);
        } catch (SQLException refused) {
            if (!isOfTheRecord(refused)) {
                throw refused;
            }
            database.rollback(before);
            setAside(record, refused);
        }
        database.releaseSavepoint(before);
    }

    /** Applies one event, unless it is a copy. */
    private void take(ConsumerRecord<byte[], byte[]> record) throws IOException, SQLException {
        if (record.value() == null) {
            throw new IOException("the record has no value");
        }
        JsonNode event = json.readTree(record.value());
        String eventId = text(event, "event_id");
        String kind = text(event, "kind");
        String facthash = header(record, "ce_facthash");
        take.setString(1, eventId);
        take.setString(2, facthash);
        take.setString(3, event.toString());
        boolean isNew = take.executeUpdate() == 1;
        if (isNew && apply.containsKey(kind)) {
            PreparedStatement statement = apply.get(kind);
            statement.setString(1, eventId);
            statement.setString(2, facthash);
            statement.executeUpdate();
        }
    }

    private void setAside(ConsumerRecord<byte[], byte[]> record, Exception reason) throws SQLException {
        setAside.setString(1, record.topic());
        setAside.setInt(2, record.partition());
        setAside.setLong(3, record.offset());
        // Not its text, which may quote what stands in the record.
        setAside.setString(4, reason.getClass().getSimpleName());
        setAside.executeUpdate();
    }

    /** Whether the database refuses what stands in the record. Anything else is the database's own trouble. */
    private static boolean isOfTheRecord(SQLException error) {
        String state = error.getSQLState();
        return error.getErrorCode() == SQLITE_CONSTRAINT || state != null && (state.startsWith("22") || state.startsWith("23"));
    }

    private static String text(JsonNode event, String member) throws IOException {
        JsonNode value = event.path(member);
        if (!value.isTextual()) {
            throw new IOException("the record is no event");
        }
        return value.textValue();
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        var header = record.headers().lastHeader(name);
        return header == null ? "" : new String(header.value(), StandardCharsets.UTF_8);
    }

    /** Whether every partition was read up to where it ended when it was asked. */
    private static boolean isAtEnd(KafkaConsumer<byte[], byte[]> consumer) {
        var partitions = consumer.assignment();
        var ends = consumer.endOffsets(partitions);
        return !partitions.isEmpty() && partitions.stream().allMatch(one -> consumer.position(one) >= ends.get(one));
    }

    public static void main(String[] arguments) throws Exception {
        boolean untilEnd = arguments.length > 2 && arguments[2].equals("--until-end");
        Map<String, Object> properties = Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0],
                ConsumerConfig.GROUP_ID_CONFIG, "telecom-state-java",
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest",
                ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        var bytes = new ByteArrayDeserializer();
        try (Connection database = DriverManager.getConnection(arguments[1]);
                var consumer = new KafkaConsumer<>(properties, bytes, bytes)) {
            var state = new Consume(database);
            consumer.subscribe(TOPICS);
            do {
                state.process(consumer, consumer.poll(Duration.ofSeconds(1)));
            } while (!untilEnd || !isAtEnd(consumer));
        }
    }
}
